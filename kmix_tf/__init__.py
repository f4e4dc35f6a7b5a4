"""kmix_tf: mixup done right for Keras and TensorFlow."""

from kmix_tf._version import __version__
from kmix_tf.batch import PackedTargets, pack_targets, unpack_targets
from kmix_tf.blend import (
    Blended,
    BlendStrategy,
    CoMixupBlend,
    CutMixBlend,
    FMixBlend,
    LinearBlend,
    PuzzleMixBlend,
    ResizeMixBlend,
    SaliencyMixBlend,
)
from kmix_tf.callbacks import MixtureImages
from kmix_tf.label_shares import LabelShareStrategy, RemixShares
from kmix_tf.layers import (
    ChoiceLayer,
    CoMixupLayer,
    CutMixLayer,
    FMixLayer,
    KMixupLayer,
    LocalMixupLayer,
    MixLayer,
    MultiMixLayer,
    PuzzleMixLayer,
    ResizeMixLayer,
    SaliencyMixLayer,
)
from kmix_tf.losses import DecoupledMixupLoss, LocalMixupLoss
from kmix_tf.metrics import ExpectedCalibrationError, MixAccuracy, MixMetric
from kmix_tf.models import ApproximateMixupModel, ManifoldMixModel, MixModel, RescaledModel
from kmix_tf.pairing import (
    LabelDistancePairing,
    NearestNeighborPairing,
    OptimalTransportPairing,
    OtherClassPairing,
    Pairing,
    PairingStrategy,
    RandomPairing,
    RepeatedPairing,
    SameClassPairing,
    solve_assignment,
)
from kmix_tf.pipeline import mix
from kmix_tf.ratio import (
    BetaRatio,
    DistanceWarpedRatio,
    DistributionRatio,
    RatioStrategy,
    ScaleRatio,
    UniformRatio,
    sample_beta,
)
from kmix_tf.saliency import GradientSaliency, SaliencySource, SpectralResidualSaliency
from kmix_tf.schedule import MixSchedule
from kmix_tf.weight import EqualWeight, ExponentialWeight, NearestNeighborWeight, ThresholdWeight, WeightStrategy

__all__ = [
    "ApproximateMixupModel",
    "BetaRatio",
    "BlendStrategy",
    "Blended",
    "ChoiceLayer",
    "CoMixupBlend",
    "CoMixupLayer",
    "CutMixBlend",
    "CutMixLayer",
    "DecoupledMixupLoss",
    "DistanceWarpedRatio",
    "DistributionRatio",
    "EqualWeight",
    "ExpectedCalibrationError",
    "ExponentialWeight",
    "FMixBlend",
    "FMixLayer",
    "GradientSaliency",
    "KMixupLayer",
    "LabelDistancePairing",
    "LabelShareStrategy",
    "LinearBlend",
    "LocalMixupLayer",
    "LocalMixupLoss",
    "ManifoldMixModel",
    "MixAccuracy",
    "MixLayer",
    "MixMetric",
    "MixModel",
    "MixSchedule",
    "MixtureImages",
    "MultiMixLayer",
    "NearestNeighborPairing",
    "NearestNeighborWeight",
    "OptimalTransportPairing",
    "OtherClassPairing",
    "PackedTargets",
    "Pairing",
    "PairingStrategy",
    "PuzzleMixBlend",
    "PuzzleMixLayer",
    "RandomPairing",
    "RatioStrategy",
    "RemixShares",
    "RepeatedPairing",
    "RescaledModel",
    "ResizeMixBlend",
    "ResizeMixLayer",
    "SaliencyMixBlend",
    "SaliencyMixLayer",
    "SaliencySource",
    "SameClassPairing",
    "ScaleRatio",
    "SpectralResidualSaliency",
    "ThresholdWeight",
    "UniformRatio",
    "WeightStrategy",
    "__version__",
    "mix",
    "pack_targets",
    "sample_beta",
    "solve_assignment",
    "unpack_targets",
]
