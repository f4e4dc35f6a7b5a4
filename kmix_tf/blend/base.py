"""How two inputs are combined: what every blend is told and gives."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._graph import refusing_host_calls
from kmix_tf.decision import Decision, Wrapped, as_decision


class Blended(NamedTuple):
    """Mixed inputs, and how much of which sample is in them.

    x: the leaves, `(mixtures, ...)`, where mixtures are the batch, or interpolations x batch, one interpolation of
    the whole batch after another. ratio: float32, the share realised, of the shape of the ratio asked for: targets
    are mixed with it. mask: None, or the share at each place, float32, the ratio's shape and then the spatial axes:
    targets of the same height and width are mixed place by place. places: none, or, for the sample and its partner,
    int32 `(mixtures, *sizes)`, the place that each comes from, counted row by row: such targets move alike. window:
    None, or, where all of the partner is seen in one box, float32 `(mixtures, axes, 2)`: the first place and the end
    of that box along each axis, into which bounding boxes shrink.

    label_ratio: None, or the sample's share in the label where that is not the share shown, of the ratio's shape.
    shares: None, or, for mixtures of more than two samples, float `(mixtures, batch)`: how much of each sample of the
    batch is in each mixture. Targets and weights of samples then follow from it, and partners and ratio do not count.
    sources: none, or, with shares, int32 `(mixtures, *sizes)` each, rows of the batch: what is shown at each place is
    the mean of what these rows have there. Targets of the same sizes are mixed place by place.

    Example:
        >>> def keep_all(first, second, partner, ratio, seed):  # a blend of your own
        ...     return Blended(first, tf.ones_like(ratio))
        >>> x, y = MixLayer(blend=keep_all)(tf.eye(4), tf.eye(4))
        >>> bool(tf.reduce_all(x == tf.eye(4)))
        True
    """

    x: list[tf.Tensor]
    ratio: tf.Tensor
    mask: tf.Tensor | None = None
    places: tuple[tf.Tensor, ...] = ()
    label_ratio: tf.Tensor | None = None
    shares: tf.Tensor | None = None
    sources: tuple[tf.Tensor, ...] = ()
    window: tf.Tensor | None = None


class BlendStrategy(Decision):
    """Combines samples with their partners. A subclass says how in `__call__`.

    Call:
        `blend(first, second, partner, ratio, seed)`: first, second, lists of feature tensors `(batch, ...)`, the same
        list for one batch; partner, int32 `(batch,)` or `(mixtures, batch)`, rows of `second`; ratio, float32 of the
        same shape or `(mixtures, batch)`; seed, integers `(2,)`. Where it declares `needs_saliency`, also
        `saliency=(of_first, of_second)`, as its method `saliency_of(features, targets)` gives them; where it declares
        `needs_targets`, also `targets=(of_first, of_second)`, lists of tensors. Returns `Blended`.

    Attributes:
        axes: how many axes of images it cuts; None for blends that do not.
        pastes: whether each value of what has these axes is one of the two samples', and no average: categories and
            token ids then stay such. Default False.
        by_pair: whether what it draws is one for both samples of a pair, which takes a mutual pairing. Default False.
        gathers: whether its mixtures are of any number of samples of one batch, of which it says itself which and how
            much: then there is nothing left for a pairing, a ratio or a weight of pairs to say. A batch that is not
            to be mixed comes with ratios of 1. Default False.
        moves: whether features come to other places, of which masks, boxes and target maps know nothing: these are
            refused. Default False.
        stops_gradients: whether no gradient flows from its mixtures back to the features, so that it is for inputs
            alone. Default False.
        models: Keras models that it asks, whose weights are to be saved with the layer. Default none.

    Example:
        >>> class Larger(BlendStrategy):  # shows of each feature the larger one
        ...     def __call__(self, first, second, partner, ratio, seed):
        ...         mixed = [tf.maximum(ours, tf.gather(theirs, partner)) for ours, theirs in zip(first, second)]
        ...         return Blended(mixed, tf.fill(tf.shape(ratio), 0.5))
        >>> x, y = MixLayer(blend=Larger())(tf.eye(4), tf.eye(4))
        >>> float(tf.reduce_max(y))
        0.5
    """

    kind = "blend"
    signature = "(first, second, partner, ratio, seed) -> Blended"

    axes: int | None = None
    pastes: bool = False
    by_pair: bool = False
    gathers: bool = False
    moves: bool = False
    stops_gradients: bool = False

    @property
    def models(self) -> list[Any]:
        """Keras models whose weights are saved with the layer."""
        return []

    @property
    def pasted_axes(self) -> int | None:
        """The axes of what it pastes value by value; None for blends that average."""
        return self.axes if self.pastes else None

    def __call__(
        self,
        first: Sequence[tf.Tensor],
        second: Sequence[tf.Tensor],
        partner: tf.Tensor,
        ratio: tf.Tensor,
        seed: tf.Tensor,
    ) -> Blended:
        raise NotImplementedError(f"{self.shown} must say in __call__ how inputs are combined.")


class _WrappedBlend(Wrapped, BlendStrategy):
    """A plain callable as a blend. It may declare `axes`, `pastes`, `gathers`, and `saliency`, None for the model
    being trained."""

    def __init__(self, function: Callable):
        super().__init__(function)
        self.axes = getattr(function, "axes", None)
        self.pastes = bool(getattr(function, "pastes", False))
        self.gathers = bool(getattr(function, "gathers", False))

    def __call__(
        self,
        first: Sequence[tf.Tensor],
        second: Sequence[tf.Tensor],
        partner: tf.Tensor,
        ratio: tf.Tensor,
        seed: tf.Tensor,
        **told: Any,
    ) -> Blended:
        with refusing_host_calls(self.shown):
            return self.function(first, second, partner, ratio, seed, **told)

    def saliency_of(self, features: Sequence[tf.Tensor], targets: Any = None) -> tf.Tensor:
        source: Any = self.function
        return source.saliency_of(features, targets)

    @property
    def saliency(self) -> Any:
        """Its own source of saliency, which is never the model being trained."""
        return getattr(self.function, "saliency", self.saliency_of)


def as_blend(value: Any) -> BlendStrategy:
    """A blend, of one or of a callable of its signature."""
    blend = as_decision(value, BlendStrategy, _WrappedBlend, told=5)
    source = getattr(blend, "function", blend)
    if blend.needs_saliency and not callable(getattr(source, "saliency_of", None)):
        raise _checks.problem(
            "blend must have a method saliency_of(features, targets) -> float (batch, *axes) where it declares "
            f"needs_saliency. Received: {blend.shown}, which has none.",
            TypeError,
        )
    return blend
