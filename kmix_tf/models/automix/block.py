"""The block that makes masks of two samples' feature maps."""

from collections.abc import Sequence
from typing import Any, Unpack

import keras
import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._compat import register
from kmix_tf.layers.options import KerasOptions
from kmix_tf.models.automix.attention import attended, resized, scaled_ratio

VARIANTS = ("automix", "samix")
UPSAMPLINGS = ("nearest", "linear")
EMBEDDINGS = ("channel", "scale", "none")

# Both as in the published settings for CIFAR-100.
_BEND, _DEVIATION = 0.25, 0.01


@register
class MixBlock(keras.Model):
    """Says which places of a mixture are whose, from both samples' feature maps and the ratio: a mask in [0, 1].

    Each place of the one asks all places of the other, by attention, how much is to be theirs:
    h(a, b, r) = softmax(q(a) k(b)^T / sqrt(units)) v(b), enlarged to the size of the image. The share of a at each
    place is sigmoid(h(b, a, 1 - r) - h(a, b, r)), so that the masks of (a, b, r) and of (b, a, 1 - r) sum to 1, and
    two equal samples have 1/2 everywhere at the ratio 1/2. q, k and v are linear in each place's features.

    Args:
        channels: of the feature maps, an integer >= 1.
        variant: "automix" (default): k is q, and the ratio is one more channel. "samix": q, which then differs from
            k, and k are of both samples' features; v has a hidden layer of half the channels with ELU; features are
            scaled by the ratio; and masks are enlarged linearly.
        reduction: q and k have channels / reduction units, at least 1; an integer >= 1, default 2.
        ratio_as: how the ratio is told: "channel", one more channel of each map, its own share; "scale", features
            times 1 + their share, which is first bent as published; "none", not at all. Default None: the variant's.
            The published settings of AutoMix for CIFAR-100 have "none"; the mean of a mask then follows the ratio of
            no single pair, and the loss of areas has little to hold on to.
        upsampling: "nearest" or "linear"; default None: the variant's.
        symmetric: False for the published sigmoid(-h(a, b, r)), in which only the partner has a say. Default True.

    Call:
        `block(first, second, ratio)`: first, second, float `(n, *places, channels)` with 1 to 3 axes of places;
        ratio, float `(n,)`, the first's share. Returns the first's share at each place, float32 `(n, *places)`,
        computed in float32 whatever the features are.

    Raises:
        TypeError, ValueError: for other arguments, and for maps of other channels.

    A block is saved as any model, by `block.save("block.keras")`, and makes masks of any model's maps of as many
    channels. Weights begin as published, near 0: at first all masks are near 1/2.

    Source: Liu et al., *AutoMix* (2022), and Li et al., *Boosting Discriminative Visual Representation Learning with
        Scenario-Agnostic Mixup* (SAMix), as their published code computes them. Differences: it is symmetric; the
        hidden layer of v has a bias and no batch normalisation, so that a mask depends on no other pair.

    Example:
        >>> block = MixBlock(channels=4)
        >>> a, b = tf.random.normal([2, 3, 3, 4], seed=1), tf.random.normal([2, 3, 3, 4], seed=2)
        >>> ratio = tf.constant([0.3, 0.5])
        >>> mask = block(a, b, ratio)
        >>> mask.shape
        TensorShape([2, 3, 3])
        >>> np.allclose(mask + block(b, a, 1 - ratio), 1), np.allclose(block(a, a, tf.fill([2], 0.5)), 0.5)
        (True, True)
    """

    @_checks.speaks
    def __init__(
        self,
        channels: int,
        variant: str = "automix",
        reduction: int = 2,
        ratio_as: str | None = None,
        upsampling: str | None = None,
        symmetric: bool = True,
        **kwargs: Unpack[KerasOptions],
    ):
        # Features come in half precision, too, and masks are made in float32.
        super().__init__(autocast=False, **{"dtype": "float32", **kwargs})
        self.channels = _checks.integer("channels", channels, minimum=1)
        self.variant = _checks.choice("variant", variant, VARIANTS)
        self.reduction = _checks.integer("reduction", reduction, minimum=1)
        is_automix = self.variant == "automix"
        ratio_as = ratio_as or ("channel" if is_automix else "scale")
        self.ratio_as = _checks.choice("ratio_as", ratio_as, EMBEDDINGS)
        upsampling = upsampling or ("nearest" if is_automix else "linear")
        self.upsampling = _checks.choice("upsampling", upsampling, UPSAMPLINGS)
        self.symmetric = _checks.flag("symmetric", symmetric)
        self._make()
        self.built = True

    def _make(self) -> None:
        inputs = self.channels + (self.ratio_as == "channel")
        units, is_automix = max(self.channels // self.reduction, 1), self.variant == "automix"
        of_both = inputs if is_automix else 2 * inputs
        self.query = _linear(of_both, units, "query")
        self.key = self.query if is_automix else _linear(of_both, units, "key")
        hidden = max(self.channels // 2, 1)
        self.hidden = None if is_automix else _linear(inputs, hidden, "hidden")
        # Of two masks that are subtracted, what both have in common has no say.
        self.value = _linear(inputs if is_automix else hidden, 1, "value", use_bias=not self.symmetric)

    def call(self, first: Any, second: Any, ratio: Any, training: bool | None = None) -> tf.Tensor:
        places = tf.shape(first)[1:-1]
        sizes = tf.unstack(places, first.shape.rank - 2)
        return tf.ensure_shape(self.mask(first, second, ratio, sizes), first.shape[:-1])

    @_checks.speaks
    def mask(self, first: Any, second: Any, ratio: Any, sizes: Sequence[Any]) -> tf.Tensor:
        """The first's share at each place of images of these sizes, float32 `(n, *sizes)`.

        Args:
            first, second, ratio: as in a call. sizes: integers or int32 scalars, one for each axis of places.
        """
        first, second = (self._checked(maps) for maps in (first, second))
        ratio = tf.cast(ratio, tf.float32)
        theirs = self._logits(first, second, ratio, sizes)
        ours = self._logits(second, first, 1 - ratio, sizes) if self.symmetric else 0.0
        return tf.sigmoid(ours - theirs)

    def _checked(self, maps: Any) -> tf.Tensor:
        maps = tf.convert_to_tensor(maps)
        if maps.shape.rank is None or not 3 <= maps.shape.rank <= 5 or maps.shape[-1] != self.channels:
            raise _checks.problem(
                f"feature maps must be (n, *places, {self.channels}), with 1 to 3 axes of places. Received: a shape "
                f"of {maps.shape}."
            )
        return tf.cast(maps, tf.float32)

    def _logits(self, first: tf.Tensor, second: tf.Tensor, ratio: tf.Tensor, sizes: Sequence[Any]) -> tf.Tensor:
        """How much the second is to have at each place, as the published code has it before its sigmoid."""
        places = tf.shape(first)[:-1]
        first, second = self._told(first, ratio), self._told(second, 1 - ratio)
        if self.variant == "automix":
            asking, asked = first, second
        else:
            asking = asked = tf.concat([first, second], axis=-1)
        hidden = second if self.hidden is None else tf.nn.elu(self.hidden(second))
        maps = attended(self.query(asking), self.key(asked), self.value(hidden)[..., 0])
        return resized(tf.reshape(maps, places), sizes, self.upsampling)

    def _told(self, maps: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
        """Features `(n, places, channels)` that know of their share."""
        maps = tf.reshape(maps, [tf.shape(maps)[0], tf.reduce_prod(tf.shape(maps)[1:-1]), self.channels])
        share = share[:, tf.newaxis, tf.newaxis]
        if self.ratio_as == "scale":
            return maps * (1 + scaled_ratio(share, _BEND))
        if self.ratio_as == "channel":
            return tf.concat([maps, share * tf.ones_like(maps[..., :1])], axis=-1)
        return maps

    def build(self, *shapes: Any, **named_shapes: Any) -> None:
        """Nothing to make: the weights are there."""

    def get_config(self) -> dict[str, Any]:
        names = ("channels", "variant", "reduction", "ratio_as", "upsampling", "symmetric", "name")
        return {name: getattr(self, name) for name in names}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "MixBlock":
        return cls(**config)


def _linear(inputs: int, units: int, name: str, use_bias: bool = True) -> keras.layers.Dense:
    """A linear map of each place's features; in float32, whatever the policy of the day is."""
    begin = keras.initializers.RandomNormal(stddev=_DEVIATION)
    layer = keras.layers.Dense(units, use_bias=use_bias, kernel_initializer=begin, dtype="float32", name=name)
    layer.build((None, None, inputs))
    return layer
