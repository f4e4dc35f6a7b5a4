"""One training step of manifold mixup: where it mixes, and what becomes of targets and weights."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from kmix_tf._compat import mask_of
from kmix_tf._graph import compiled
from kmix_tf.blend.linear import with_axes
from kmix_tf.layers import Stage
from kmix_tf.layers.choosing import computing_all
from kmix_tf.models.manifold.masks import padded_as, present, with_mask
from kmix_tf.seeding import mix_seeds, random_uniform


class Passing(NamedTuple):
    """A batch on its way through a model: features, and the targets and weights that belong to them by now.

    mask: which elements of the features are there, boolean `(batch, *steps)`; None: all, or nobody says.
    """

    features: Any
    y: Any
    sample_weight: Any
    mask: Any = None


class MixingStep:
    """Mixes a batch once on its way through a model, at one of several places.

    Args:
        mixes: the layer that mixes at each place. drawn: the number of the place that is mixed at, int32; None if
            there is one.
        y, sample_weight: what came with the batch. options: of the call of a mix.

    Attributes:
        y, sample_weight: those of the batch as it is by now, which the loss is of when all places are passed.
    """

    def __init__(
        self,
        mixes: Sequence[Stage],
        drawn: tf.Tensor | None,
        y: Any,
        sample_weight: Any,
        options: dict[str, Any],
    ):
        self._mixes = mixes
        self._drawn = drawn
        self._given = y, sample_weight
        self._options = options
        self.y, self.sample_weight = y, sample_weight

    def at(self, place: int, features: Any, mask: Any = None) -> tuple[Any, Any]:
        """The features at a place, mixed if it is the one drawn. Places are passed in order, from 0.

        Args:
            features: with a mask on them, if layers are to find one there; what is returned has that of the mixtures.
            mask: one that layers to come have for an input, or None. It is returned, too, as that of the mixtures.
        """
        found = mask_of(features)
        if found is not None:
            features = tf.identity(features)  # Without it: Keras warns where a layer, such as a mix, loses a mask.
        if place == 0:
            # As they are where they are not mixed, such as one-hot.
            self.y, self.sample_weight = converted(self._mixes[0], features, *self._given)
        known = found if mask is None else mask
        known = None if known is None else tf.cast(known, tf.bool)
        passing = (self._mixed if self._drawn is None else self._perhaps_mixed)(place, features, known)
        self.y, self.sample_weight = passing.y, passing.sample_weight
        features = passing.features if found is None else with_mask(passing.features, passing.mask)
        return features, None if mask is None else passing.mask

    def _perhaps_mixed(self, place: int, features: Any, mask: Any) -> Passing:
        """Computes one branch alone, whose batches may be of different lengths."""
        seen: list[Passing] = []
        current = Passing(features, self.y, self.sample_weight, mask)

        def mixed() -> list[tf.Tensor]:
            seen.append(_weighted_like(current, self._mixed(place, features, mask)))
            is_longer = self._mixes[place].mixtures is not None
            return [_of_open_length(leaf) if is_longer else leaf for leaf in _tensors(seen[-1])]

        def kept() -> list[tf.Tensor]:
            seen.append(_weighted_like(seen[0], current) if seen else current)
            return _tensors(seen[-1])

        leaves = iter(tf.nest.flatten(tf.cond(tf.equal(self._drawn, place), mixed, kept)))
        return tf.nest.map_structure(lambda leaf: None if leaf is None else next(leaves), seen[0])

    def _mixed(self, place: int, features: Any, mask: Any, allowed: Any = None) -> Passing:
        y, sample_weight = self._given
        mix, told = self._mixes[place], self._options
        if allowed is None and mask is None:
            mixed = mix(features, y, sample_weight, **told)
        else:
            there = features if mask is None else present(features, mask)
            mixed = mix.mixed(there, y, sample_weight, **told, allowed=allowed, mask=mask)
        # Weights may depend on hidden distances, but they say what mixtures count, and are not to be learnt. To be
        # said within the branch: outside, zeros would go in as its gradient, and at distance 0 come out as NaN.
        x, y, sample_weight = (mixed, None, None) if y is None else (*mixed, None)[:3]
        y, sample_weight = (tf.nest.map_structure(_constant, each) for each in (y, sample_weight))
        if mask is None:
            return Passing(x, y, sample_weight)
        x, joined = x
        return Passing(padded_as(features, x, joined), y, sample_weight, joined)


class CompiledStep(MixingStep):
    """`MixingStep` for XLA, which cannot take the gradient of branches unless it knows all sizes beforehand.

    Here a branch only draws partners and ratios, those of an unmixed batch at other places than the one drawn, and
    batches become as long as their mixtures at the first place.
    """

    def _perhaps_mixed(self, place: int, features: Any, mask: Any) -> Passing:
        is_drawn = tf.equal(self._drawn, place)
        if place == 0:
            return self._mixed(place, features, mask, allowed=is_drawn)
        size = tf.shape(features)[0] // (self._mixes[0].mixtures or 1)
        once = None if mask is None else mask[:size]
        passing = self._mixed(place, features[:size], once, allowed=is_drawn)
        current = _weighted_like(passing, Passing(features, self.y, self.sample_weight, mask))

        def chosen(ours: tf.Tensor | None, theirs: tf.Tensor | None) -> tf.Tensor | None:
            return None if ours is None else tf.where(is_drawn, ours, theirs)

        return tf.nest.map_structure(chosen, _weighted_like(current, passing), current)

    def _mixed(self, place: int, features: Any, mask: Any, allowed: Any = None) -> Passing:
        with computing_all():
            return super()._mixed(place, features, mask, allowed)


def draw_place(seed: tf.Tensor, count: int) -> tf.Tensor | None:
    """One of `count` places, uniform, an int32 scalar; None if there is but one."""
    return None if count == 1 else tf.cast(random_uniform([], mix_seeds(seed).choice) * count, tf.int32)


def converted(mix: Stage, features: Any, y: Any, sample_weight: Any) -> tuple[Any, Any]:
    """Targets and weights as the mix gives them, unmixed."""
    if y is None:
        return y, sample_weight
    _, y, *rest = mix(features, y, sample_weight, training=False)
    return y, (rest[0] if rest else None)


def _tensors(passing: Passing) -> list[tf.Tensor]:
    return [leaf for leaf in tf.nest.flatten(passing) if leaf is not None]


def _of_open_length(leaf: tf.Tensor) -> tf.Tensor:
    """The same tensor, of whose length its graph knows nothing: where branches differ in it, TensorFlow takes that of
    the first one for both, if it is known, when it differentiates them."""
    return tf.ensure_shape(_opened(leaf), [None, *leaf.shape[1:]])


@compiled
def _opened(leaf: tf.Tensor) -> tf.Tensor:
    shape = tf.shape(leaf)
    return tf.reshape(leaf, shape + tf.cast(tf.reduce_min(shape) < 0, tf.int32))


def _weighted_like(other: Passing, passing: Passing) -> Passing:
    """A batch with weights of the structure and rank that the other's have: of 1, if it has none."""
    if other.sample_weight is None:
        return passing
    weight = passing.sample_weight
    if weight is None:
        weight = tf.nest.map_structure(_ones, other.sample_weight, passing.y)
    elif tf.nest.is_nested(other.sample_weight) and not tf.nest.is_nested(weight):
        weight = tf.nest.map_structure(lambda _, shared=weight: shared, other.sample_weight)
    if tf.nest.is_nested(weight) and not tf.nest.is_nested(other.sample_weight):
        return passing
    # A pasted map has weights of its places, others one for each mixture: with axes of length 1 both will do.
    return passing._replace(sample_weight=tf.nest.map_structure(_of_rank, weight, other.sample_weight))


def _ones(weight: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    rank = weight.shape.rank - 1
    return tf.ones(tf.concat([tf.shape(target)[:1], tf.ones([rank], tf.int32)], 0), weight.dtype)


def _of_rank(weight: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
    return with_axes(weight, max(other.shape.rank - weight.shape.rank, 0))


def _constant(leaf: Any) -> Any:
    return None if leaf is None else tf.stop_gradient(leaf)
