"""Integers among the features: token ids and categories, whose averages are other ones, or none.

Nothing tells them from ages and counts, which are averaged as any number. So they are warned of, once.
"""

import warnings
from collections.abc import Iterable, Sequence

import tensorflow as tf

from kmix_tf import _checks
from kmix_tf.batch.leaf import FEATURES, MIXED, Leaf

# Two axes of at least so many places are those of an image; token ids come in a few sequences for each sample.
_IMAGE = 8


class Once:
    """Says whether this is the first time it is asked, to one thread alone; it can be copied, as a lock cannot."""

    def __init__(self) -> None:
        self._first: dict[str, object] = {}

    def __call__(self) -> bool:
        mine = object()
        return self._first.setdefault("first", mine) is mine


def may_be_categories(dtype: tf.DType, shape: tf.TensorShape) -> bool:
    """Whether integers of this dtype and shape `(batch, ...)` are often ids or categories.

    A column is, in any width: pandas makes codes of int8. Vectors are, but for bytes of images and samples of sound;
    sequences of vectors, but for images.
    """
    if not dtype.is_integer:
        return False
    if shape.rank is None or shape[1:] in ([], [1]):
        return True
    if dtype.size < 4 and dtype != tf.int8:
        return False
    return shape.rank == 2 or (shape.rank == 3 and min(size or 0 for size in shape[1:]) < _IMAGE)


def warn_of_integers(first: Once, leaves: Iterable[Leaf], cut_axes: int | None, remedy: str) -> None:
    """Warns of features that are about to be averaged and may be ids or categories, the first time alone.

    Args:
        leaves: of a batch. cut_axes: those of the blend, if it pastes leaves that have them, value by value; or None.
        remedy: what to do with ids.
    """
    doubtful = [
        leaf
        for leaf in leaves
        if leaf.part == FEATURES
        and leaf.role == MIXED
        and may_be_categories(leaf.tensor.dtype, leaf.tensor.shape)
        and not is_pasted(leaf.tensor.shape, cut_axes)
    ]
    if doubtful and first():
        warn(doubtful, remedy)


def warn(leaves: Sequence[Leaf], remedy: str) -> None:
    """Warns of these features."""
    names = ", ".join(
        f"{leaf.name} of dtype {leaf.tensor.dtype.name} and shape {leaf.tensor.shape}" for leaf in leaves
    )
    warnings.warn(
        f"{_checks.speaker()}: integers are averaged as numbers. Received: {names}. If they are categories or token "
        f"ids, the average of two is another one, or none: {remedy} If they are quantities, such as ages, counts or "
        "pixels, cast them to float32, which ends this warning.",
        UserWarning,
        stacklevel=2,
    )


def is_pasted(shape: tf.TensorShape, cut_axes: int | None) -> bool:
    """Whether a blend that pastes along so many axes does it to a leaf of this shape; others it averages."""
    return cut_axes is not None and shape.rank is not None and shape.rank > cut_axes
