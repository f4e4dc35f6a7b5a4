"""kmix_tf: mixup done right for Keras and TensorFlow."""

from kmix_tf._version import __version__
from kmix_tf.blend import LinearBlend
from kmix_tf.layers import KMixupLayer, MixLayer
from kmix_tf.models import RescaledModel
from kmix_tf.pairing import OptimalTransportPairing, RandomPairing, solve_assignment
from kmix_tf.pipeline import mix
from kmix_tf.ratio import BetaRatio, sample_beta
from kmix_tf.weight import EqualWeight

__all__ = [
    "BetaRatio",
    "EqualWeight",
    "KMixupLayer",
    "LinearBlend",
    "MixLayer",
    "OptimalTransportPairing",
    "RandomPairing",
    "RescaledModel",
    "__version__",
    "mix",
    "sample_beta",
    "solve_assignment",
]
