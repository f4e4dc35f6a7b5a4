"""Does mixing help on these data? A small network that tries it, with and without."""

from kmix_tf.trial.comparing import compare_mixes
from kmix_tf.trial.findings import Finding, Trial
from kmix_tf.trial.intervals import corrected_difference

__all__ = ["Finding", "Trial", "compare_mixes", "corrected_difference"]
