"""Calibration: maps of a model's answers fitted on held-out data, and what they are worth."""

from kmix_tf.models.calibrating.maps import AnswerMap, Isotonic, Temperature, Vector

__all__ = ["AnswerMap", "Isotonic", "Temperature", "Vector"]
