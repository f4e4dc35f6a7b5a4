"""How one of several mixtures is drawn and taken, each by a branch of the graph, or row by row."""

import contextlib
import contextvars
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from kmix_tf import _checks
from kmix_tf.blend.linear import with_axes
from kmix_tf.seeding import MixSeeds, random_uniform, split

_computes_all: contextvars.ContextVar[bool] = contextvars.ContextVar("kmix_tf_computes_all", default=False)


@contextlib.contextmanager
def computing_all() -> Iterator[None]:
    """Within it, all layers of a choice are computed, and one is taken: XLA cannot take the gradient of branches
    unless it knows all sizes beforehand."""
    before = _computes_all.set(True)
    try:
        yield
    finally:
        _computes_all.reset(before)


class ChoiceSeeds(NamedTuple):
    """The seeds of one choice, integers `(2,)`. choice: of what is chosen. layers: of each layer's own draws."""

    choice: tf.Tensor
    layers: list[tf.Tensor]


class Given(NamedTuple):
    """with_weights: whether mixtures have weights of samples, from any of the layers. packed: whether targets are."""

    with_weights: bool
    packed: bool


def choice_seeds(seed: tf.Tensor, count: int) -> ChoiceSeeds:
    """Seeds that no mix draws with, which is given the same seed: not even another choice, or a choice of places."""
    used = len(MixSeeds._fields)
    *layers, choice = split(seed, used + count + 1)[used:]
    return ChoiceSeeds(choice, layers)


def draw_numbers(shares: Sequence[float], seed: tf.Tensor, chance: Callable | None) -> Callable[[Any], tf.Tensor]:
    """What draws numbers of layers, int32 of any shape; the number after the last one says: none of them.

    Args:
        shares: how likely each is chosen, of what may be mixed; at most 1 in all.
        chance: gives the probability that anything is mixed at all; None: it always may be.
    """
    bounds = np.cumsum(shares)
    # Uniform numbers are below 1, and rounding must not leave any of them over.
    bounds[bounds > 1 - 1e-9] = 1.0
    limits = tf.constant(bounds, tf.float32) * (1.0 if chance is None else chance())

    def draw(shape: Any) -> tf.Tensor:
        return tf.reduce_sum(tf.cast(random_uniform(shape, seed)[..., tf.newaxis] >= limits, tf.int32), axis=-1)

    return draw


def taken(
    draw: Callable[[Any], tf.Tensor],
    branches: Sequence[Callable[[], Any]],
    by_sample: bool,
    mixtures: int,
    names: Any,
) -> Any:
    """What the branches give that are drawn: one for all rows, or one for each sample.

    Args:
        draw: given a shape, draws the numbers of branches. mixtures: how many rows there are of each sample.
        names: of the layers, in whose order branches come.
    """
    if by_sample:
        return by_row(draw, branches, mixtures, names)
    if _computes_all.get():
        return by_row(lambda shape: tf.fill(shape, draw([])), branches, mixtures, names)
    return by_branch(draw([]), branches, names)


def by_branch(number: tf.Tensor, branches: Sequence[Callable[[], Any]], names: Sequence[str]) -> Any:
    """What one branch gives, of which the number is drawn; in a graph, only that one runs.

    By conditions one in another: iterators over a `switch_case` cannot be saved.
    """
    alike = _Alike(names)

    def chosen(at: int) -> Any:
        if at == len(branches) - 1:
            return alike(branches[at]())
        return tf.cond(tf.equal(number, at), lambda: alike(branches[at]()), lambda: chosen(at + 1))

    return chosen(0)


def by_row(
    draw: Callable[[Any], tf.Tensor], branches: Sequence[Callable[[], Any]], mixtures: int, names: Sequence[str]
) -> Any:
    """What all branches give, of each row that of the branch drawn for its sample."""
    alike = _Alike(names)
    results = [alike(branch()) for branch in branches]
    dense = next(leaf for leaf in tf.nest.flatten(results[0]) if isinstance(leaf, tf.Tensor))
    numbers = tf.tile(draw([tf.shape(dense)[0] // mixtures]), [mixtures])

    def rows_of(*leaves: Any) -> Any:
        last = leaves[-1]
        if not isinstance(last, tf.Tensor):  # Ragged or sparse, it rides along, alike in all of them.
            return last
        for at in range(len(leaves) - 2, -1, -1):
            last = tf.where(with_axes(tf.equal(numbers, at), last.shape.rank - 1), leaves[at], last)
        last.set_shape(leaves[0].shape)
        return last

    return tf.nest.map_structure(rows_of, *results)


class _Alike:
    """Lets results through that differ in nothing but numbers.

    names: of the layers, in whose order results come.
    """

    def __init__(self, names: Sequence[str]):
        self._names = names
        self._first: Any = None
        self._number = 0

    def __call__(self, result: Any) -> Any:
        self._first = result if self._first is None else self._first
        if not _is_alike(self._first, result):
            said = [
                f"{name} gives {_shown(each)}" for name, each in ((self._names[0], self._first), self._now(result))
            ]
            raise _checks.problem(
                f"layers must give results of one structure, dtype and shape. Received: {said[0]}; {said[1]}."
            )
        self._number += 1
        return result

    def _now(self, result: Any) -> tuple[str, Any]:
        return self._names[min(self._number, len(self._names) - 1)], result


def _is_alike(first: Any, second: Any) -> bool:
    try:
        tf.nest.assert_same_structure(first, second)
    except (TypeError, ValueError):
        return False
    leaves = zip(tf.nest.flatten(first), tf.nest.flatten(second), strict=True)
    return all(one.dtype == two.dtype and one.shape.is_compatible_with(two.shape) for one, two in leaves)


def _shown(result: Any) -> str:
    return str(tf.nest.map_structure(lambda leaf: f"{leaf.dtype.name}{leaf.shape}", result))


def complete(result: Any, given: Given) -> Any:
    """A result with a weight for each target, if any layer gives weights: of 1, where there are none.

    Weights of targets with places are made weights of places, because those of pasted maps are.
    """
    if not given.with_weights or not isinstance(result, tuple) or given.packed:
        return result
    x, y, weight = (*result, None)[:3]
    if weight is None:
        weight = tf.nest.map_structure(_ones, y)
    elif not tf.nest.is_nested(weight) and len(tf.nest.flatten(y)) > 1:
        weight = tf.nest.map_structure(lambda _, shared=weight: shared, y)
    if len(tf.nest.flatten(y)) == len(tf.nest.flatten(weight)):
        leaves = [_of_places(*each) for each in zip(tf.nest.flatten(weight), tf.nest.flatten(y), strict=True)]
        weight = tf.nest.pack_sequence_as(weight, leaves)
    return x, y, weight


def _ones(target: Any) -> tf.Tensor:
    return with_axes(tf.ones(tf.shape(target)[:1]), max((target.shape.rank or 0) - 2, 0))


def _of_places(weight: Any, target: Any) -> Any:
    """A weight `(batch,)` or `(batch, 1, ...)` of a target `(batch, *places, d)`, for each of its places."""
    if not (isinstance(weight, tf.Tensor) and isinstance(target, tf.Tensor)) or (target.shape.rank or 0) < 3:
        return weight
    rank = target.shape.rank - 1
    if weight.shape.rank > rank:
        return weight
    shape = target.shape[:rank]
    whole = tf.broadcast_to(with_axes(weight, rank - weight.shape.rank), tf.shape(target)[:rank])
    whole.set_shape(shape)
    return whole
