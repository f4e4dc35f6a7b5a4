"""What the papers prove, as functions."""

from kmix_tf.analysis.calibration import ReliabilityCurve, expected_calibration_error, reliability_curve
from kmix_tf.analysis.matching import match_alpha, mean_matching_cost
from kmix_tf.analysis.perturbation import (
    ModifiedData,
    PerturbationCovariance,
    modified_data,
    perturbation_covariance,
)
from kmix_tf.analysis.risk import ApproximateRisk, approximate_mixup_risk, mixup_risk
from kmix_tf.analysis.theta import ThetaMoments, theta_moments, theta_moments_of, theta_moments_sampled

__all__ = [
    "ApproximateRisk",
    "ModifiedData",
    "PerturbationCovariance",
    "ReliabilityCurve",
    "ThetaMoments",
    "approximate_mixup_risk",
    "expected_calibration_error",
    "match_alpha",
    "mean_matching_cost",
    "mixup_risk",
    "modified_data",
    "perturbation_covariance",
    "reliability_curve",
    "theta_moments",
    "theta_moments_of",
    "theta_moments_sampled",
]
