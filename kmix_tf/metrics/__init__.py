"""Metrics that understand mixed targets."""

from kmix_tf.metrics.accuracy import MixAccuracy
from kmix_tf.metrics.calibration import ExpectedCalibrationError
from kmix_tf.metrics.mixed import MixMetric

__all__ = ["ExpectedCalibrationError", "MixAccuracy", "MixMetric"]
