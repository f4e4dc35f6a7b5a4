"""Batches that cannot be mixed, left out of a stream: told, counted, and never all of them."""

import itertools
import warnings
import weakref
from typing import Any

import numpy as np
import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._graph import collecting_validity
from kmix_tf.layers import Stage
from kmix_tf.mapped import mapped

RAISE, SKIP = "raise", "skip"

# So many in a row are no faults in the data: of a dataset that repeats for ever, nobody could wait for the end.
_IN_A_ROW = 1000

# In the place of what is wrong with a batch: nothing is, or there is no batch any more.
_FINE, _END = "", "end"

_NUMBERS = itertools.count(1)
_NOBODY = 0


class SkippedBatches:
    """Counts the batches that a pipeline's stage leaves out, and says which.

    Given to the stage as `mix(layer, on_invalid=skipped)`; one counter for each stage. It counts what iterators have
    met in this process, also ahead of the training, where the dataset prefetches. A batch that comes again because an
    iterator was restored from its checkpoint is met once. It can be pickled, to be kept beside such a checkpoint.

    Attributes:
        count: how many batches were left out, in all epochs together. steps: of each its step, an integer that counts
            the batches of its iterator from 0, or from `initial_step`; in the order in which they were met.

    Example:
        >>> x = np.ones([6, 2], "float32")
        >>> x[3] = np.nan
        >>> skipped = SkippedBatches()
        >>> data = tf.data.Dataset.from_tensor_slices((x, np.zeros(6))).batch(2)
        >>> data = data.apply(mix(MixLayer(), seed=0, on_invalid=skipped))
        >>> len(list(data)), skipped.count, skipped.steps
        (2, 1, (1,))
    """

    def __init__(self) -> None:
        self._begin({})

    @property
    def count(self) -> int:
        """How many batches were left out."""
        return len(self._found)

    @property
    def steps(self) -> tuple[int, ...]:
        """The step of each batch that was left out."""
        return tuple(step for *_, step in list(self._found))

    def _begin(self, found: dict[tuple[int, ...], None]) -> None:
        # By the seed of a batch and its step: threads may add at once, and none is added twice.
        self._found = found
        self._number = next(_NUMBERS)
        _COUNTERS[self._number] = self

    def __getstate__(self) -> dict[str, Any]:
        return {"found": list(self._found)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._begin(dict.fromkeys(state["found"]))

    def __repr__(self) -> str:
        return f"SkippedBatches(count={self.count})"


# Graphs know a counter by its number, so that they hold nothing of Python's.
_COUNTERS: weakref.WeakValueDictionary[int, SkippedBatches] = weakref.WeakValueDictionary()


def checked(on_invalid: Any, salted: bool) -> Any:
    """`on_invalid`, if it is one of those that there are."""
    is_counter = isinstance(on_invalid, SkippedBatches)
    if not (is_counter or on_invalid in (RAISE, SKIP)):
        _checks.refuse("on_invalid", "'raise', 'skip' or a kmix_tf.SkippedBatches()", on_invalid)
    if is_counter and salted:
        rule = "'raise' or 'skip' with salted=True, for what a worker leaves out is counted in another process"
        _checks.refuse("on_invalid", rule, on_invalid)
    return on_invalid


def without_invalid(
    paired: tf.data.Dataset,
    layer: Stage,
    on_invalid: Any,
    between: bool,
    num_parallel_calls: int | None,
    salted: bool,
) -> tf.data.Dataset:
    """The dataset of `(numbers, element)` without the elements that the layer would refuse for their values.

    Args:
        on_invalid: "skip" or a counter. between: whether elements are pairs of batches. salted: whether the graph may
            run in another process, where nothing of Python's is.
    """
    number = on_invalid._number if isinstance(on_invalid, SkippedBatches) else _NOBODY
    tell = _print if salted else _call_host

    @tf.autograph.experimental.do_not_convert
    def told(numbers: Any, element: Any) -> Any:
        return _fault(layer, element, between), numbers, element

    @tf.autograph.experimental.do_not_convert
    def judged(state: tuple[tf.Tensor, tf.Tensor], drawn: tuple[Any, ...]) -> Any:
        fault, (seed, step, _), _ = drawn
        state = _counted(state, fault)
        with tf.control_dependencies(_require_some(state, fault)):
            is_fine = fault == _FINE
            is_kept = tf.cond(
                is_fine | (fault == _END), lambda: is_fine, lambda: tell(number, seed, step, state[0][1], fault)
            )
        return state, (is_kept, drawn[1:])

    stream = mapped(paired, told, num_parallel_calls)
    stream = stream.concatenate(_end(stream.element_spec))
    nothing_yet = (tf.zeros([3], tf.int64), tf.constant(_FINE))
    return stream.scan(nothing_yet, judged).filter(lambda is_kept, _: is_kept).map(lambda _, kept: kept)


def _fault(layer: Stage, element: Any, between: bool) -> tf.Tensor:
    """What is wrong with the values of an element, in the words of the error that there would be; or nothing."""
    sides = element if between else (element,)
    with collecting_validity() as checks, _checks.speaking_as(layer):
        for side in sides:
            layer.converted(*(side if isinstance(side, tuple) else (side,)))
    if not checks:
        return tf.constant(_FINE)
    are_so = tf.stack([condition for condition, _ in checks])
    first = tf.argmin(tf.cast(are_so, tf.int32))
    return tf.where(tf.reduce_all(are_so), _FINE, tf.gather(tf.constant([text for _, text in checks]), first))


def _counted(state: tuple[tf.Tensor, tf.Tensor], fault: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """How many batches were kept, left out, and left out in a row; and what was wrong with the last one."""
    (kept, skipped, in_a_row), last = tf.unstack(state[0]), state[1]
    is_fine, is_end = fault == _FINE, fault == _END
    more = tf.cast(~(is_fine | is_end), tf.int64)
    in_a_row = tf.where(is_fine, tf.zeros_like(in_a_row), in_a_row + more)
    counts = tf.stack([kept + tf.cast(is_fine, tf.int64), skipped + more, in_a_row])
    return counts, tf.where(is_fine | is_end, last, fault)


def _require_some(state: tuple[tf.Tensor, tf.Tensor], fault: tf.Tensor) -> list[tf.Operation]:
    """Stops a stream of which nothing is left, and one that may never come to an end."""
    (kept, skipped, in_a_row), last = tf.unstack(state[0]), state[1]
    is_some = (fault != _END) | (kept > 0) | (skipped == 0)
    rule = "mix: on_invalid='skip' is for a few batches of many. Received: none that can be mixed,"
    # Numbers and words come after what says what they are.
    nothing, endless, why = f"{rule} of so many:", f"{rule} of so many in a row:", "Of these the last:"
    return [
        tf.debugging.Assert(is_some, [nothing, skipped, why, last]),
        tf.debugging.Assert(in_a_row < _IN_A_ROW, [endless, in_a_row, why, last]),
    ]


def _call_host(number: int, seed: tf.Tensor, step: tf.Tensor, skipped: tf.Tensor, fault: tf.Tensor) -> tf.Tensor:
    given = [tf.constant(number, tf.int64), seed, step, skipped, fault]
    kept = tf.numpy_function(_tell_and_count, given, tf.bool, stateful=False)
    kept.set_shape([])
    return kept


def _tell_and_count(number: Any, seed: Any, step: Any, skipped: Any, fault: Any) -> np.bool_:
    """One function for all stages: each `numpy_function` registers its callee for good."""
    counter = _COUNTERS.get(int(number))
    if counter is not None:
        counter._found.setdefault((*map(int, seed), int(step)))
    # The first, the tenth, the hundredth: a broken disk is not to fill another one.
    if str(int(skipped)).strip("0") == "1":
        warnings.warn(
            f"mix: the batch of step {int(step)} is left out, the number {int(skipped)} of its iterator. "
            f"{fault.decode()}",
            stacklevel=2,
        )
    return np.False_


def _print(number: int, seed: tf.Tensor, step: tf.Tensor, skipped: tf.Tensor, fault: tf.Tensor) -> tf.Tensor:
    """Says so where the graph runs, once for each iterator, by an op without state."""
    is_kept = tf.constant(False)
    return tf.raw_ops.Print(
        input=is_kept, data=[step, fault], message="mix: a batch is left out. Its step, and why: ", first_n=1
    )


def _end(spec: Any) -> tf.data.Dataset:
    """One element after all others, which says that there are no more."""

    _, *others = tf.nest.map_structure(_blank, spec)
    return tf.data.Dataset.from_tensors((tf.constant(_END), *others))


def _blank(spec: tf.TypeSpec) -> Any:
    """Something of this kind, as small as can be."""
    if isinstance(spec, tf.SparseTensorSpec):
        shape = [size or 0 for size in spec.shape]
        return tf.SparseTensor(tf.zeros([0, len(shape)], tf.int64), tf.zeros([0], spec.dtype), shape)
    if isinstance(spec, tf.RaggedTensorSpec):
        flat = tf.zeros([0, *(size or 0 for size in spec.shape[1 + spec.ragged_rank :])], spec.dtype)
        for _ in range(spec.ragged_rank):
            flat = tf.RaggedTensor.from_row_splits(flat, tf.zeros([1], spec.row_splits_dtype))
        return flat
    shape = [] if spec.shape.rank is None else [size or 0 for size in spec.shape]
    return tf.zeros(shape, spec.dtype)
