"""kmix_tf: mixup done right for Keras and TensorFlow."""

from kmix_tf._version import __version__
from kmix_tf.batch import PackedTargets, pack_targets, unpack_targets
from kmix_tf.blend import Blended, CutMixBlend, FMixBlend, LinearBlend, PuzzleMixBlend, SaliencyMixBlend
from kmix_tf.layers import (
    CutMixLayer,
    FMixLayer,
    KMixupLayer,
    LocalMixupLayer,
    MixLayer,
    MultiMixLayer,
    PuzzleMixLayer,
    SaliencyMixLayer,
)
from kmix_tf.losses import LocalMixupLoss
from kmix_tf.metrics import ExpectedCalibrationError, MixAccuracy
from kmix_tf.models import ApproximateMixupModel, ManifoldMixModel, MixModel, RescaledModel
from kmix_tf.pairing import (
    NearestNeighborPairing,
    OptimalTransportPairing,
    OtherClassPairing,
    Pairing,
    RandomPairing,
    RepeatedPairing,
    SameClassPairing,
    solve_assignment,
)
from kmix_tf.pipeline import mix
from kmix_tf.ratio import BetaRatio, DistributionRatio, sample_beta
from kmix_tf.saliency import GradientSaliency, SpectralResidualSaliency
from kmix_tf.schedule import MixSchedule
from kmix_tf.weight import EqualWeight, ExponentialWeight, NearestNeighborWeight, ThresholdWeight

__all__ = [
    "ApproximateMixupModel",
    "BetaRatio",
    "Blended",
    "CutMixBlend",
    "CutMixLayer",
    "DistributionRatio",
    "EqualWeight",
    "ExpectedCalibrationError",
    "ExponentialWeight",
    "FMixBlend",
    "FMixLayer",
    "GradientSaliency",
    "KMixupLayer",
    "LinearBlend",
    "LocalMixupLayer",
    "LocalMixupLoss",
    "ManifoldMixModel",
    "MixAccuracy",
    "MixLayer",
    "MixModel",
    "MixSchedule",
    "MultiMixLayer",
    "NearestNeighborPairing",
    "NearestNeighborWeight",
    "OptimalTransportPairing",
    "OtherClassPairing",
    "PackedTargets",
    "Pairing",
    "PuzzleMixBlend",
    "PuzzleMixLayer",
    "RandomPairing",
    "RepeatedPairing",
    "RescaledModel",
    "SaliencyMixBlend",
    "SaliencyMixLayer",
    "SameClassPairing",
    "SpectralResidualSaliency",
    "ThresholdWeight",
    "__version__",
    "mix",
    "pack_targets",
    "sample_beta",
    "solve_assignment",
    "unpack_targets",
]
