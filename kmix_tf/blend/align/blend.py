"""The blend: one map's features are moved onto the other's places, then both are mixed linearly."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._compat import register
from kmix_tf._graph import after, at_least_float32, fused, require
from kmix_tf._images import has_places_of, have_axes, image_of, joined, those
from kmix_tf.blend.align.sinkhorn import SinkhornSettings, sinkhorn_weights, squared_distances
from kmix_tf.blend.base import Blended, BlendStrategy
from kmix_tf.blend.linear import interpolate_leaf, interpolate_leaves, with_axes
from kmix_tf.seeding import as_seed, random_uniform

ONTO = ("either", "sample", "partner")

# A plan has the square of so many numbers, 4 MB, for each pair, and the iterations hold several of its size.
MOST_PLACES = 1024


class Sides(NamedTuple):
    """Both samples of each pair, tensors `(pairs, ...)`."""

    ours: tf.Tensor
    theirs: tf.Tensor


@register
class AlignMixBlend(BlendStrategy):
    """Mixes feature maps once they are aligned: an ear with an ear, wherever in the two images they are.

    For maps of n places with c channels, a of the sample and b of its partner, a transport plan P says which places
    belong together: it minimises

        sum_ij P_ij |a_i - b_j|^2 - epsilon H(P),   each row and each column of P summing to 1 / n,

    by Sinkhorn's iterations. Then either the partner's features are moved onto the sample's places, and place i of
    the mixture is ratio a_i + (1 - ratio) n sum_j P_ij b_j; or the sample's are moved onto the partner's places, and
    place j is ratio n sum_i P_ij a_i + (1 - ratio) b_j. Which of the two is drawn for the batch. No gradient flows
    through the plan, but through both maps. Weights of a mean sum to 1 exactly; the places from which features are
    moved count alike to within `tolerance`.

    It is made for the last map before global pooling of a `ManifoldMixModel`, with plain mixup at the input in the
    other half of the steps: see the example. In `dataset.map` it takes images, whose places are pixels, but a few
    dozen of 32 x 32 take seconds on a CPU.

    Leaves of features with the places of the first map are moved by its plan; other leaves are mixed linearly.
    Partners may be matched by k, several interpolations of a pair share one plan, and distances, weights and two
    loaders are as in every mix. What says where something is would not be moved along and is refused: boxes, target
    maps of the same places, and masks of padding, whose places would lend and get features like any other.

    Example:
        >>> inputs = keras.Input((8, 8, 1))
        >>> x = keras.layers.Conv2D(4, 3, strides=2, name="last_map")(inputs)
        >>> model = keras.Model(inputs, keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(x)))
        >>> mix = {
        ...     "input": MixLayer(ratio=BetaRatio(2.0), num_classes=3),
        ...     "last_map": MixLayer(ratio=BetaRatio(2.0), blend=AlignMixBlend(), num_classes=3),
        ... }
        >>> mixing = ManifoldMixModel(model, ["input", "last_map"], mix, seed=0)
        >>> mixing.compile("sgd", keras.losses.CategoricalCrossentropy(from_logits=True))
        >>> history = mixing.fit(tf.random.uniform([16, 8, 8, 1]), np.arange(16) % 3, verbose=0)
        >>> map = tf.reshape(tf.range(9.0), [1, 3, 3, 1])
        >>> turned = tf.reverse(map, axis=[1, 2])  # the same features at other places are moved back
        >>> blended = AlignMixBlend(onto="sample")([map], [turned], tf.constant([0]), tf.constant([0.5]), seed=0)
        >>> float(tf.reduce_max(tf.abs(blended.x[0] - map))) < 1e-3
        True

    Args:
        axes: how many axes after the batch's say the place: 2 (default) for images and their maps
            `(batch, height, width, channels)`, 1 for signals and tokens `(batch, steps, channels)`, 3 for volumes.
            Axes after these are channels; there may be none.
        epsilon: how soft the plan is, > 0, default 0.1: of costs much smaller than it every place goes everywhere, of
            much larger ones each has a place of its own.
        iterations: of Sinkhorn, at most so many, an integer >= 1, default 100.
        tolerance: a pair's iterations stop once each column of its plan sums to 1 / n to within this share, > 0,
            default 0.01.
        relative: True divides the costs of a pair by their mean, so that epsilon has no unit: for uint8 images, say,
            whose costs are so large that a hundred iterations do not converge. Default False.
        onto: whose places a mixture has: "either" (default), drawn for the batch, one as likely as the other;
            "sample" or "partner".

    Call:
        `blend(first, second, partner, ratio, seed)`, as every blend. Returns `Blended` with the ratio that was given.
        Mixtures of ratio 1 are the sample exactly. Computed in float32, or in float64 for float64.

    Raises:
        TypeError, ValueError: for other arguments; on a call, for features without these axes, as after global
            pooling, maps of more than 1024 places, for a plan holds the square of that for each pair, and what says
            where something is.
        InvalidArgumentError: on the batch, where the number of places only shows then.

    Source: Venkataramanan et al. 2022, *AlignMixup: Improving Representations by Interpolating Aligned Features*,
    with the defaults of their published code, whose costs are squared distances of plain features as well. There the
    iterations stop for the whole batch at a mean over pairs, here for each pair by itself; and weights are divided by
    their sums. Their alpha is 2.
    """

    axes: int
    moves = True

    @_checks.speaks
    def __init__(
        self,
        axes: int = 2,
        *,
        epsilon: float = 0.1,
        iterations: int = 100,
        tolerance: float = 0.01,
        relative: bool = False,
        onto: str = "either",
    ):
        self.axes = _checks.axes(axes)
        self.epsilon = _checks.positive("epsilon", epsilon)
        self.iterations = _checks.integer("iterations", iterations, minimum=1)
        self.tolerance = _checks.positive("tolerance", tolerance)
        self.relative = _checks.flag("relative", relative)
        self.onto = _checks.choice("onto", onto, ONTO)

    @_checks.speaks
    def __call__(
        self, first: Sequence[tf.Tensor], second: Sequence[tf.Tensor], partner: tf.Tensor, ratio: tf.Tensor, seed: Any
    ) -> Blended:
        """Mixes feature tensors; `ratio` float32 `(batch,)` or `(interpolations, batch)`; see `interpolate`."""
        image = _map_of(first, self.axes)
        ratio = tf.broadcast_to(ratio, tf.shape(partner)) if partner.shape.rank == 2 else ratio
        are_moved = [has_places_of(leaf, image, self.axes) for leaf in first]
        ours, theirs = those(are_moved, first, second)
        places = require_places(image, self.axes)
        moved = self._mixed(after(places, ours), theirs, partner, ratio, as_seed(seed))
        ours, theirs = those([not use for use in are_moved], first, second)
        return Blended(joined(are_moved, moved, interpolate_leaves(ours, theirs, partner, ratio)), ratio)

    def _mixed(
        self,
        first: Sequence[tf.Tensor],
        second: Sequence[tf.Tensor],
        partner: tf.Tensor,
        ratio: tf.Tensor,
        seed: tf.Tensor,
    ) -> list[tf.Tensor]:
        """The leaves with the map's places, of which the first is the map: aligned and mixed."""
        sides = [_pairs(*leaves, partner) for leaves in zip(first, second, strict=True)]
        onto_partner = tf.less(random_uniform([], seed), 0.5) if self.onto == "either" else self.onto == "partner"
        kept, lent = _swapped(sides[0], onto_partner)
        weights = _weights(
            tf.stop_gradient(kept),
            tf.stop_gradient(lent),
            axes=self.axes,
            settings=SinkhornSettings(self.epsilon, self.iterations, self.tolerance),
            relative=self.relative,
        )
        return [_aligned(side, weights, ratio, partner, onto_partner, self.axes) for side in sides]


def require_places(image: tf.Tensor, axes: int) -> list[tf.Operation]:
    """Refuses maps whose plans no memory would hold: now, or what does so on the batch."""
    rule = f"maps to align must have at most {MOST_PLACES} places, for a plan has the square of that for each pair"
    hint = "Mix a later, smaller map by ManifoldMixModel; or smaller images."
    count = image.shape[1 : 1 + axes].num_elements()
    if count is None:
        fits = tf.reduce_prod(tf.shape(image)[1 : 1 + axes]) <= MOST_PLACES
        return require(fits, f"{rule}. Received: larger ones. {hint}")
    if count > MOST_PLACES:
        raise _checks.problem(f"{rule}. Received: features of shape {image.shape}, which have {count}. {hint}")
    return []


def _map_of(features: Sequence[tf.Tensor], axes: int) -> tf.Tensor:
    """The first leaf with so many axes after the batch's.

    Raises:
        ValueError: if there is none.
    """
    (maps,) = those(have_axes(features, axes), features)
    if not maps and any(leaf.shape.rank is None for leaf in features):
        return image_of(features, axes)  # Which says that nothing is known of them.
    if not maps:
        raise _checks.problem(
            f"features must have {axes} axes of places after the batch's, and then channels, as maps have before "
            f"global pooling; axes=1 is for signals and tokens. Received: features of shapes "
            f"{[str(leaf.shape) for leaf in features]}. Mix at an earlier layer, or by LinearBlend()."
        )
    return maps[0]


def _pairs(first: tf.Tensor, second: tf.Tensor, partner: tf.Tensor) -> Sides:
    """Both samples of each pair; several partners of a sample are as many pairs, one pairing after another."""
    if partner.shape.rank == 1:
        return Sides(first, tf.gather(second, partner))
    rows = tf.broadcast_to(tf.range(tf.shape(partner)[1]), tf.shape(partner))
    return Sides(tf.gather(first, tf.reshape(rows, [-1])), tf.gather(second, tf.reshape(partner, [-1])))


def _swapped(sides: Sides, is_swapped: Any) -> Sides:
    """Whose places are kept, and who lends its features: the sample and its partner, or the other way round."""
    if isinstance(is_swapped, bool):
        return Sides(sides.theirs, sides.ours) if is_swapped else sides
    return Sides(tf.where(is_swapped, sides.theirs, sides.ours), tf.where(is_swapped, sides.ours, sides.theirs))


@fused(features=2)
def _weights(kept: tf.Tensor, lent: tf.Tensor, *, axes: int, settings: SinkhornSettings, relative: bool) -> tf.Tensor:
    """For each place that is kept, how much each of the others lends it: `(pairs, places, places)`."""
    cost = squared_distances(_rows_of_places(kept, axes), _rows_of_places(lent, axes))
    if relative:
        cost = tf.math.divide_no_nan(cost, tf.reduce_mean(cost, axis=[1, 2], keepdims=True))
    return sinkhorn_weights(cost, settings)


def _rows_of_places(leaf: tf.Tensor, axes: int) -> tf.Tensor:
    """`(pairs, *axes, ...)` as `(pairs, places, channels)`, wide."""
    shape = tf.shape(leaf)
    rows = [shape[0], tf.reduce_prod(shape[1 : 1 + axes]), tf.reduce_prod(shape[1 + axes :])]
    return tf.reshape(at_least_float32(leaf), tf.stack(rows))


def _aligned(
    sides: Sides, weights: tf.Tensor, ratio: tf.Tensor, partner: tf.Tensor, onto_partner: Any, axes: int
) -> tf.Tensor:
    """One leaf's mixtures, of the ratio's shape times the rest."""
    kept, lent = _swapped(sides, onto_partner)
    rows = _rows_of_places(lent, axes)
    moved = tf.reshape(tf.matmul(tf.cast(weights, rows.dtype), rows), tf.shape(lent))
    ours, theirs = _swapped(Sides(tf.cast(kept, moved.dtype), moved), onto_partner)
    several = partner.shape.rank == 1 and ratio.shape.rank == 2
    share = ratio if several else tf.reshape(ratio, [-1])
    everyone = tf.range(tf.shape(ours)[0])
    mixed = interpolate_leaf(ours, theirs, everyone, share, spatial=0, several=several)
    # Moved, the sample is another, and a whole sample is not to be touched.
    whole = tf.reshape(tf.equal(ratio, 1), [-1])
    copies = tf.gather(sides.ours, tf.range(tf.shape(whole)[0]) % tf.maximum(tf.shape(everyone)[0], 1))
    mixed = tf.where(with_axes(whole, mixed.shape.rank - 1), tf.cast(copies, mixed.dtype), mixed)
    mixed = tf.ensure_shape(mixed, [mixed.shape[0], *sides.ours.shape[1:]])
    return tf.cast(mixed, sides.ours.dtype) if sides.ours.dtype.is_floating else mixed
