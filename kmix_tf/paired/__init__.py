"""Comparisons by pairs: every arm begins from equal weights and sees equal batches, and differs in the mix alone."""

from kmix_tf.paired.batches import batches
from kmix_tf.paired.differences import Difference, paired_difference, verdict
from kmix_tf.paired.experiment import (
    AtLeast,
    AtMost,
    Cells,
    Claim,
    DataNotFound,
    Experiment,
    Judged,
    Less,
    More,
    Runs,
)
from kmix_tf.paired.scores import Scores, probabilities, score, scores
from kmix_tf.paired.tables import arms_table, grid_table, mean_and_spread, number, table
from kmix_tf.paired.trainer import Trainer

__all__ = [
    "AtLeast",
    "AtMost",
    "Cells",
    "Claim",
    "DataNotFound",
    "Difference",
    "Experiment",
    "Judged",
    "Less",
    "More",
    "Runs",
    "Scores",
    "Trainer",
    "arms_table",
    "batches",
    "grid_table",
    "mean_and_spread",
    "number",
    "paired_difference",
    "probabilities",
    "score",
    "scores",
    "table",
    "verdict",
]
