"""What blends that ask for saliency have in common."""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from kmix_tf import _checks
from kmix_tf.blend.base import BlendStrategy
from kmix_tf.saliency.asking import ask
from kmix_tf.saliency.source import as_source

# What is this near the largest saliency, as a share of it, is as salient: rounding must not decide between them.
TIE = 1e-4


class SalientBlend(BlendStrategy):
    """A blend of images that asks what matters where.

    Args:
        axes: how many axes the image has.
        saliency: a saliency source, or None: of the model being trained in `MixModel`, `SpectralResidualSaliency`
            elsewhere. A Keras model is none: it takes no targets, and says nothing of places.
    """

    axes: int
    needs_saliency = True

    @_checks.speaks
    def __init__(self, axes: int, saliency: Callable | None):
        self.axes = axes
        self.saliency = as_source(saliency)

    def saliency_of(self, features: Sequence[tf.Tensor], targets: Any = None) -> tf.Tensor:
        """What the source, or the default one, says of features: float32 `(batch, *axes)`, checked."""
        return ask(self.saliency, features, targets, self.axes)
