"""Partners chosen by class: of the same one, or of any other."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._compat import register
from kmix_tf._graph import after, compiled, require
from kmix_tf._paths import as_selectors
from kmix_tf.pairing.base import Pairing, PairingStrategy
from kmix_tf.pairing.targets import target_leaves
from kmix_tf.seeding import as_seed, permutation, random_bits, split


class _ClassPairing(PairingStrategy):
    """What pairings by class share. A subclass says who stands where in `_partner_of`."""

    needs_targets = True
    by_distance = False

    @_checks.speaks
    def __init__(self, target: str | int | None = None, missing: str = "keep"):
        self.target = target
        self._selectors = as_selectors("target", target)
        self.missing = _checks.choice("missing", missing, ("keep", "any"))

    @_checks.speaks_anew
    def __call__(self, features: Sequence[tf.Tensor], seed: Any, targets: Any = None) -> Pairing:
        """Pairs a batch with itself. `targets`: soft labels `(batch, classes)`, integers, or a structure of them."""
        classes = class_numbers(targets, self._selectors)
        partner = self._partner_of(classes, as_seed(seed), missing=self.missing)
        return Pairing(partner, tf.range(tf.size(partner)))

    @_checks.speaks_anew
    def between(self, first: Sequence[tf.Tensor], second: Sequence[tf.Tensor]) -> Pairing:
        """Refused: whether every class has a partner in the other batch is the loaders' choice."""
        raise _checks.problem(
            "two loaders cannot be paired by class. Filter them by class before they are "
            "zipped, and pair them with RandomPairing() or OptimalTransportPairing(k)."
        )

    @staticmethod
    def _partner_of(classes: tf.Tensor, seed: tf.Tensor, *, missing: str) -> tf.Tensor:
        raise NotImplementedError


@register
class SameClassPairing(_ClassPairing):
    """Mixes samples of one class only, so that labels stay as they are: the next one round a circle of its class.

    Within a class every sample has one partner, never itself, uniform among the others, and is a partner once. A
    sample whose class has no other in the batch has no partner: see `missing`.

    Args:
        target: which target holds the class, by name, where there are several; see `passthrough` in `MixLayer`.
        missing: "keep" (default) leaves samples without a partner of their class unmixed; "any" pairs them with one
            another, whatever their class (a single one stays unmixed).

    Raises:
        ValueError: for other arguments; on a call, for targets that are no classes.

    Example:
        >>> pairing = SameClassPairing()
        >>> pairing([tf.zeros([5, 2])], 0, tf.constant([3, 1, 3, 1, 1])).partner.shape
        TensorShape([5])
    """

    @staticmethod
    @compiled
    def _partner_of(classes: tf.Tensor, seed: tf.Tensor, *, missing: str) -> tf.Tensor:
        order, classes, size = _by_class(classes, seed)
        if missing == "any":
            # Those who are alone form a class of their own.
            start, _, count = _runs(classes)
            again = tf.argsort(tf.cast(count == 1, tf.int32), stable=True)
            order, classes = tf.gather(order, again), tf.gather(tf.where(count == 1, -1, start), again)
        start, rank, count = _runs(classes)
        partner = tf.gather(order, start + (rank + 1) % tf.maximum(count, 1))
        return tf.gather(partner, _inverse(order, size))


@register
class OtherClassPairing(_ClassPairing):
    """Mixes samples of different classes only.

    As long as no class makes up more than half of the batch, every sample has a partner of another class and is a
    partner once. Otherwise the largest class has more samples than there are others: as many as find one are
    paired with them, for the rest see `missing`. Which ones these are is drawn anew each time.

    Args:
        target: which target holds the class, by name, where there are several; see `passthrough` in `MixLayer`.
        missing: "keep" (default) leaves samples without a partner of another class unmixed; "any" pairs them with one
            another (a single one stays unmixed).

    Raises:
        ValueError: for other arguments; on a call, for targets that are no classes.

    Example:
        >>> pairing = OtherClassPairing()
        >>> pairing([tf.zeros([4, 2])], 0, tf.constant([3, 1, 3, 1])).partner.shape
        TensorShape([4])
    """

    @staticmethod
    @compiled
    def _partner_of(classes: tf.Tensor, seed: tf.Tensor, *, missing: str) -> tf.Tensor:
        seed, shift_seed = split(seed, 2)
        order, classes, size = _by_class(classes, seed)
        start, _, count = _runs(classes)
        largest = tf.reduce_max(tf.concat([count, [0]], 0))
        # Round a circle of classes side by side, any step from the largest class' size to that short of a full turn
        # leads out of every class.
        steps = tf.maximum(size - 2 * largest + 1, 1)
        position = tf.range(size)
        shift = largest + tf.math.floormod(random_bits([], shift_seed), steps)
        balanced = (position + shift) % tf.maximum(size, 1)
        # With a majority: it and the others are paired one to one, from the start of its run.
        majority = tf.reduce_max(tf.concat([tf.where(count == largest, start, 0), [0]], 0))
        from_majority = (position - majority) % tf.maximum(size, 1)
        others = size - largest
        rest = largest - others
        stay = from_majority if missing == "keep" else others + (from_majority - others + 1) % tf.maximum(rest, 1)
        crowded = tf.where(
            from_majority < others,
            from_majority + largest,
            tf.where(from_majority >= largest, from_majority - largest, stay),
        )
        crowded = (crowded + majority) % tf.maximum(size, 1)
        partner = tf.gather(order, tf.where(2 * largest <= size, balanced, crowded))
        return tf.gather(partner, _inverse(order, size))


def class_numbers(targets: Any, selectors: Sequence[str]) -> tf.Tensor:
    """The class of each sample, int64 `(batch,)`: the likeliest one of soft labels, or integers as they are.

    Raises:
        ValueError: without targets, for several targets without a name, or for targets that are no classes.
        InvalidArgumentError: on the batch, for soft labels that do not sum to 1.
    """
    if targets is None:
        raise _checks.problem("pairing by class needs targets. Received: features alone.")
    leaves = target_leaves(targets, selectors)
    if len(leaves) != 1:
        raise _checks.problem(f"target must name one of several targets. Received: {len(leaves)} of them.")
    (leaf,) = leaves
    if leaf.dtype.is_integer and (leaf.shape.rank == 1 or leaf.shape[-1] == 1):
        return tf.reshape(tf.cast(leaf, tf.int64), [-1])
    if leaf.shape.rank != 2 or not leaf.dtype.is_floating or leaf.shape[-1] == 1:
        raise _checks.problem(
            f"pairing by class needs class labels: integers, or soft labels (batch, classes). "
            f"Received: targets of dtype {leaf.dtype.name} and shape {leaf.shape}."
        )
    sums = tf.reduce_all(tf.abs(tf.reduce_sum(tf.cast(leaf, tf.float64), axis=1) - 1) < _checks.SUM_TOLERANCE)
    message = "soft labels must sum to 1 for pairing by class. Received: others: multi-hot?"
    (leaf,) = after(require(sums, message), [leaf])
    return tf.argmax(leaf, axis=1, output_type=tf.int64)


def _by_class(classes: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Rows in an order that is random but for classes standing together, in random order; their classes; how many."""
    rows_seed, classes_seed = split(seed, 2)
    size = tf.size(classes)
    # Which class comes first is drawn too: by the place of its first member in another shuffle.
    place = permutation(classes_seed, size)
    same = classes[:, tf.newaxis] == classes[tf.newaxis, :]
    first = tf.reduce_min(tf.where(same, place[tf.newaxis, :], size), axis=1)
    shuffled = permutation(rows_seed, size)
    order = tf.gather(shuffled, tf.argsort(tf.gather(first, shuffled), stable=True))
    return order, tf.gather(classes, order), size


def _runs(classes: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Of each position in a row of runs of equal classes: where its run starts, its rank in it, the run's length."""
    same = classes[:, tf.newaxis] == classes[tf.newaxis, :]
    position = tf.range(tf.size(classes))
    start = tf.reduce_min(tf.where(same, position[tf.newaxis, :], tf.size(classes)), axis=1)
    return start, position - start, tf.reduce_sum(tf.cast(same, tf.int32), axis=1)


def _inverse(order: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    return tf.scatter_nd(order[:, tf.newaxis], tf.range(size), [size])
