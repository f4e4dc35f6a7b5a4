"""What the training step says of saliency: of which image, in which steps, and how finely. Options of `MixModel`."""

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._images import image_of
from kmix_tf.layers import Stage
from kmix_tf.saliency.coarse import checked_shrink
from kmix_tf.saliency.pooling import gaussian_sizes
from kmix_tf.saliency.spectral import SpectralResidualSaliency


class SaliencyOptions(NamedTuple):
    """How saliency is asked for, as `MixModel` has it: smoothing, saliency_every, saliency_shrink."""

    smoothing: tuple[float, ...] | None
    every: int
    shrink: int


def salient_axes(layer: Stage) -> int | None:
    """The axes of the image whose saliency the model in training has to say, if it has.

    Raises:
        ValueError: for a choice of layers that want it of different axes.
    """
    blends = [member.blend for member in layer.members() if member.blend.needs_saliency]
    axes = sorted({blend.axes for blend in blends if blend.saliency is None})
    if len(axes) > 1:
        raise _checks.problem(
            "layers that take saliency from the training step must agree in axes. Received: a choice of some with "
            f"axes={axes}. Give them saliency sources of their own, or equal axes."
        )
    return axes[0] if axes else None


def checked_options(
    model: keras.Model, layer: Stage, clean_weight: float, smoothing: Any, every: Any, shrink: Any
) -> SaliencyOptions:
    """The options, refused where they would change nothing, or would change the gradient of the clean batch."""
    axes = salient_axes(layer)
    every = _checks.integer("saliency_every", every, minimum=1)
    if axes is None:
        _require_defaults(layer, smoothing, every, shrink)
        return SaliencyOptions(None, 1, 1)
    sizes = None if smoothing is None else gaussian_sizes("smoothing", smoothing, axes)
    options = SaliencyOptions(sizes, every, checked_shrink("saliency_shrink", shrink, model, axes))
    for name, value in (("saliency_every", options.every), ("saliency_shrink", options.shrink)):
        if value > 1 and clean_weight:
            rule = "1 with a clean_weight, whose gradient is that of each batch at full size, from the same pass"
            _checks.refuse(name, rule, value)
    return options


def _require_defaults(layer: Stage, smoothing: Any, every: int, shrink: Any) -> None:
    shown = " or ".join(dict.fromkeys(member.blend.shown for member in layer.members()))
    because = f"for {shown}, which takes no saliency from the training step"
    if smoothing is not None:
        _checks.refuse("smoothing", f"None {because}", smoothing)
    for name, value in (("saliency_every", every), ("saliency_shrink", shrink)):
        if value != 1:
            _checks.refuse(name, f"1 {because}", value)


def in_turn(
    step: tf.Tensor, every: int, asked: Callable[[], tf.Tensor], layer: Stage, axes: int, data: Any
) -> tf.Tensor:
    """Saliency that the model is asked for in each n-th step, and that of the images by themselves in the others.

    Args:
        step: the number of this step, from 0. asked: asks the model. data: `(x, y, sample_weight)`.
    """
    leaves, _ = layer.converted(*data)
    wide = tf.float64 if image_of(leaves, axes).dtype == tf.float64 else tf.float32
    by_themselves = SpectralResidualSaliency(axes)
    is_asked = tf.equal(step % every, 0)
    return tf.cond(is_asked, asked, lambda: tf.cast(by_themselves(leaves), wide))
