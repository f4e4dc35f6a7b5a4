"""Rescaled prediction: what a model trained with mixup should be asked, and how its answer should be read."""

from kmix_tf.models.calibrating.comparing import Comparison
from kmix_tf.models.calibrating.scores import Scores
from kmix_tf.models.rescaled.means import TrainingMeans
from kmix_tf.models.rescaled.model import RescaledModel
from kmix_tf.models.rescaled.slopes import MeasuredTheta

__all__ = ["Comparison", "MeasuredTheta", "RescaledModel", "Scores", "TrainingMeans"]
