"""What the papers prove, as functions."""

from kmix_tf.analysis.attacks import fgsm
from kmix_tf.analysis.calibration import (
    Predictions,
    expected_calibration_error,
    predictions_of,
    reliability_curve,
)
from kmix_tf.analysis.collinearity import CollinearSamples, collinear_samples
from kmix_tf.analysis.confidence import ConfidenceHistogram, confidence_histogram
from kmix_tf.analysis.conflicts import Conflict, LabelConflicts, label_conflicts
from kmix_tf.analysis.corruptions import corrupt, corruptions, mean_corruption_error
from kmix_tf.analysis.crossing import (
    CrossMatchBound,
    CrossMatchLimits,
    CrossMatchShare,
    cross_match_bound,
    cross_match_limits,
    cross_match_share,
)
from kmix_tf.analysis.entropy import EntropyBound, entropy_bound, prediction_entropy
from kmix_tf.analysis.flip import Contradicted, FlipThreshold, contradicted, contradictions, flip_threshold
from kmix_tf.analysis.gradient_variance import GradientVariance, gradient_variance
from kmix_tf.analysis.interpolant import local_mixup_interpolant
from kmix_tf.analysis.intrusion import Intrusion, IntrusionDistances, intrusion_distances
from kmix_tf.analysis.label_distance import LabelDistance, label_distance
from kmix_tf.analysis.least_squares import LinearModel, linear_mixup_risk, mols
from kmix_tf.analysis.lipschitz import (
    NearestSegments,
    lipschitz_lower_bound,
    lipschitz_lower_bounds,
    nearest_segments,
)
from kmix_tf.analysis.local_regularization import (
    KMixupRegularization,
    kmixup_perturbation_covariance,
    kmixup_regularization,
)
from kmix_tf.analysis.locality import DistanceProfile, Locality, distance_profile, locality
from kmix_tf.analysis.matching import match_alpha, matched_alpha, mean_matching_cost
from kmix_tf.analysis.matching_distribution import MatchingDistribution, matching_distribution
from kmix_tf.analysis.noise import background_noise, gaussian_noise
from kmix_tf.analysis.optimal_classifier import mixup_optimal_classifier
from kmix_tf.analysis.perturbation import (
    ModifiedData,
    PerturbationCovariance,
    modified_data,
    perturbation,
    perturbation_covariance,
)
from kmix_tf.analysis.perturbation_grid import GridPoint, perturbation_grid
from kmix_tf.analysis.risk import ApproximateRisk, approximate_mixup_risk, mixup_risk
from kmix_tf.analysis.sampled_perturbations import SampledPerturbations, sample_perturbations
from kmix_tf.analysis.toys import (
    Toy,
    alternating_line,
    coiling_spirals,
    four_bars,
    half_moons,
    noisy_spiral,
    one_ring,
    swiss_roll,
    two_moons,
)
from kmix_tf.maths.matched import MatchedAlpha
from kmix_tf.maths.reliability import ReliabilityCurve
from kmix_tf.maths.theta import ThetaMoments, theta_moments, theta_moments_of, theta_moments_sampled

__all__ = [
    "ApproximateRisk",
    "CollinearSamples",
    "ConfidenceHistogram",
    "Conflict",
    "Contradicted",
    "CrossMatchBound",
    "CrossMatchLimits",
    "CrossMatchShare",
    "DistanceProfile",
    "EntropyBound",
    "FlipThreshold",
    "GradientVariance",
    "GridPoint",
    "Intrusion",
    "IntrusionDistances",
    "KMixupRegularization",
    "LabelConflicts",
    "LabelDistance",
    "LinearModel",
    "Locality",
    "MatchedAlpha",
    "MatchingDistribution",
    "ModifiedData",
    "NearestSegments",
    "PerturbationCovariance",
    "Predictions",
    "ReliabilityCurve",
    "SampledPerturbations",
    "ThetaMoments",
    "Toy",
    "alternating_line",
    "approximate_mixup_risk",
    "background_noise",
    "coiling_spirals",
    "collinear_samples",
    "confidence_histogram",
    "contradicted",
    "contradictions",
    "corrupt",
    "corruptions",
    "cross_match_bound",
    "cross_match_limits",
    "cross_match_share",
    "distance_profile",
    "entropy_bound",
    "expected_calibration_error",
    "fgsm",
    "flip_threshold",
    "four_bars",
    "gaussian_noise",
    "gradient_variance",
    "half_moons",
    "intrusion_distances",
    "kmixup_perturbation_covariance",
    "kmixup_regularization",
    "label_conflicts",
    "label_distance",
    "linear_mixup_risk",
    "lipschitz_lower_bound",
    "lipschitz_lower_bounds",
    "local_mixup_interpolant",
    "locality",
    "match_alpha",
    "matched_alpha",
    "matching_distribution",
    "mean_corruption_error",
    "mean_matching_cost",
    "mixup_optimal_classifier",
    "mixup_risk",
    "modified_data",
    "mols",
    "nearest_segments",
    "noisy_spiral",
    "one_ring",
    "perturbation",
    "perturbation_covariance",
    "perturbation_grid",
    "prediction_entropy",
    "predictions_of",
    "reliability_curve",
    "sample_perturbations",
    "swiss_roll",
    "theta_moments",
    "theta_moments_of",
    "theta_moments_sampled",
    "two_moons",
]
