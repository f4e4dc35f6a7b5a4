"""What a training step leaves to the next one, in variables that are no part of the model."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from kmix_tf.mixing.carrying import Carried, nothing_of


class Left(NamedTuple):
    """carried: the mixed batch, as its layer carries it on. predicted: what was predicted of it, float32
    `(batch, classes)`; both of no rows before the first step."""

    carried: Carried
    predicted: tf.Tensor


class Memory:
    """Variables of any number of rows, made when the first batch shows what they hold.

    Keras knows nothing of them: they are not saved, and no optimizer sees them.

    Args:
        classes: the width of predictions.
    """

    def __init__(self, classes: int):
        self._classes = classes
        self._specs: Any = None
        self._variables: list[tf.Variable] = []
        self._rows: Any = None

    def prepare(self, batch: Sequence[Any], nothing: Callable[[tuple[Any, ...]], Carried]) -> None:
        """Makes the variables, unless those that there are hold such batches.

        Args:
            batch: x, y and sample weights. nothing: what comes before a first batch of given specs.
        """
        specs = tf.nest.map_structure(_spec_of, tuple(batch))
        if specs == self._specs:
            return
        with tf.init_scope():
            first = [*nothing(specs), *nothing_of([tf.TensorSpec([None, self._classes])])]
            self._variables = [
                tf.Variable(leaf, shape=[None] * leaf.shape.rank, trainable=False, name="left") for leaf in first
            ]
            self._rows = tf.Variable(0, trainable=False, name="rows_left")
        self._specs = specs

    def read(self) -> Left:
        """What the step before left.

        Cut to a number of rows that is kept besides: of a variable that is given a batch of known size, TensorFlow
        takes that for the size it has before, too.
        """
        *carried, predicted = [variable[: self._rows] for variable in self._variables]
        return Left(tuple(carried), tf.ensure_shape(predicted, [None, self._classes]))

    def write(self, left: Left) -> None:
        """Leaves it to the next step."""
        for variable, value in zip(self._variables, [*left.carried, left.predicted], strict=True):
            variable.assign(value)
        self._rows.assign(tf.shape(left.predicted)[0])

    def forget(self) -> None:
        """The next step is a first one."""
        if self._rows is not None:
            self._rows.assign(0)


def _spec_of(leaf: Any) -> Any:
    """A leaf's spec, for any number of rows; None for what is not there."""
    return None if leaf is None else tf.TensorSpec([None, *leaf.shape[1:]], leaf.dtype)
