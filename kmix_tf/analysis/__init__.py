"""What the papers prove, as functions."""

from kmix_tf.analysis.calibration import ReliabilityCurve, expected_calibration_error, reliability_curve
from kmix_tf.analysis.matching import match_alpha, mean_matching_cost
from kmix_tf.analysis.theta import ThetaMoments, theta_moments

__all__ = [
    "ReliabilityCurve",
    "ThetaMoments",
    "expected_calibration_error",
    "match_alpha",
    "mean_matching_cost",
    "reliability_curve",
    "theta_moments",
]
