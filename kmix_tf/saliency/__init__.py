"""Which places of an image matter: sources of saliency, and what blends do with them."""

from kmix_tf.saliency.asking import ask, ask_pair, given_pair
from kmix_tf.saliency.fallback import FallbackCount
from kmix_tf.saliency.features import FeatureSaliency
from kmix_tf.saliency.gradient import GradientSaliency, saliency_of_gradient
from kmix_tf.saliency.inputs import NamedFeatures
from kmix_tf.saliency.pooling import pooled, smooth
from kmix_tf.saliency.source import SaliencySource, as_shares, checked, unusable
from kmix_tf.saliency.spectral import SpectralResidualSaliency

__all__ = [
    "FallbackCount",
    "FeatureSaliency",
    "GradientSaliency",
    "NamedFeatures",
    "SaliencySource",
    "SpectralResidualSaliency",
    "as_shares",
    "ask",
    "ask_pair",
    "checked",
    "given_pair",
    "pooled",
    "saliency_of_gradient",
    "smooth",
    "unusable",
]
