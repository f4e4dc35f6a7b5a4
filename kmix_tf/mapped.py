"""`Dataset.map` and `Dataset.scan` for functions of tensors alone, whose iterators begin sooner."""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

try:  # Private: without it, functions are traced in debug mode, too.
    from tensorflow.python.data.ops import debug_mode as _debug_mode
except ImportError:
    _debug_mode = None

# A captured function is optimised anew for each iterator, in each epoch: for a mix that took 20 to 200 ms, and no
# batch was faster for it, as what is large in it is compiled. TensorFlow leaves that out, and the search for a device
# for each node, for functions of which this attribute says that integers stay where the function runs. It runs on the
# CPU, as all of `tf.data`.
_AS_IT_IS = {"experimental_ints_on_device": True}


def mapped(dataset: tf.data.Dataset, function: Callable, num_parallel_calls: int | None) -> tf.data.Dataset:
    """`dataset.map(function)`, in order; without optimising the function, where it and its elements are plain.

    Plain are tensors whose kind and structure `tf.nest` keeps, and functions that capture nothing: what is captured,
    as variables of a model, may be on another device. In debug mode (`tf.data.experimental.enable_debug_mode`), which
    calls functions with values, nothing is.
    """
    plain = _plain(dataset, function) if _may_be_plain(dataset) else None
    if plain is not None:
        return _Mapped(dataset, *plain, num_parallel_calls)
    if num_parallel_calls is None:
        return dataset.map(function)
    return dataset.map(function, num_parallel_calls=num_parallel_calls, deterministic=True)


def scanned(dataset: tf.data.Dataset, state: tuple[tf.Tensor, ...], function: Callable) -> tf.data.Dataset:
    """`dataset.scan(state, function)`, as `mapped` is a map: `function(state, element)` gives both anew."""
    plain = _plain(dataset, function, state) if _may_be_plain(dataset) else None
    return dataset.scan(state, function) if plain is None else _Scanned(dataset, *plain, state)


def _may_be_plain(dataset: tf.data.Dataset) -> bool:
    return tf.executing_eagerly() and not _is_debugged() and _is_plain(dataset.element_spec)


def _is_debugged() -> bool:
    """Whether `tf.data` calls Python functions with the values of each element."""
    return _debug_mode is not None and bool(_debug_mode.DEBUG_MODE)


def _plain(
    dataset: tf.data.Dataset, function: Callable, state: tuple[tf.Tensor, ...] | None = None
) -> tuple[Any, Any] | None:
    """The function of tensors, those of the state if there is one and of an element, and what its results are for an
    element; None if they are not plain."""
    specs: list[Any] = []
    count = len(state or ())

    def of_tensors(*tensors: tf.Tensor) -> list[tf.Tensor]:
        element = tf.nest.pack_sequence_as(dataset.element_spec, list(tensors[count:]))
        handed_on, result = ((), function(*element)) if state is None else function(tensors[:count], element)
        is_kept = [each.dtype for each in handed_on] == [each.dtype for each in state or ()]
        if not is_kept or not all(isinstance(leaf, tf.Tensor) for leaf in tf.nest.flatten((handed_on, result))):
            return []
        specs.append(tf.nest.map_structure(tf.TensorSpec.from_tensor, result))
        return [*handed_on, *tf.nest.flatten(result)]

    traced = _traced(of_tensors, state or (), tf.nest.flatten(dataset.element_spec))
    is_plain = specs and _is_plain(specs[-1]) and not traced.captured_inputs
    return (traced, tf.nest.map_structure(_unnamed, specs[-1])) if is_plain else None


def _traced(of_tensors: Callable, state: Sequence[tf.Tensor], element: Sequence[tf.TensorSpec]) -> Any:
    """Traced with shapes of the state that hold before the first element and after any."""
    shapes = [each.shape for each in state]
    while True:
        given = [tf.TensorSpec(shape, each.dtype) for shape, each in zip(shapes, state, strict=True)]
        given += [tf.TensorSpec(leaf.shape, leaf.dtype) for leaf in element]
        function = tf.function(of_tensors, autograph=False, experimental_attributes=_AS_IT_IS)
        traced = function.get_concrete_function(*given)
        pairs = zip(shapes, traced.outputs, strict=False)  # The others are the element's.
        found = [before.most_specific_compatible_shape(new.shape) for before, new in pairs]
        if not traced.outputs or list(map(str, found)) == list(map(str, shapes)):  # Open dimensions equal nothing.
            return traced
        shapes = found


def _unnamed(spec: tf.TensorSpec) -> tf.TensorSpec:
    return tf.TensorSpec(spec.shape, spec.dtype)


def _is_plain(spec: Any) -> bool:
    """Whether a structure has tensors alone, in tuples and dictionaries: `tf.data` makes one tensor of a list."""
    if isinstance(spec, dict):
        return all(map(_is_plain, spec.values()))
    if isinstance(spec, tuple):
        return all(map(_is_plain, spec))
    return type(spec) is tf.TensorSpec


class _Mapped(tf.data.Dataset):
    """What `Dataset.map` gives: it keeps its function, and has the options of what it is made of."""

    def __init__(self, source: tf.data.Dataset, function: Any, spec: Any, num_parallel_calls: int | None):
        self._input_dataset, self.function, self._spec = source, function, spec
        if num_parallel_calls is None:
            variant = tf.raw_ops.MapDataset(other_arguments=[], **self._arguments())
        else:
            calls = tf.cast(num_parallel_calls, tf.int64)
            variant = tf.raw_ops.ParallelMapDatasetV2(
                other_arguments=[], num_parallel_calls=calls, deterministic="true", **self._arguments()
            )
        super().__init__(variant)

    def _arguments(self) -> dict[str, Any]:
        return {
            "input_dataset": tf.data.experimental.to_variant(self._input_dataset),
            "f": self.function,
            "output_types": [leaf.dtype for leaf in tf.nest.flatten(self._spec)],
            "output_shapes": [leaf.shape for leaf in tf.nest.flatten(self._spec)],
            "preserve_cardinality": True,
        }

    def _inputs(self) -> list[tf.data.Dataset]:
        return [self._input_dataset]

    @property
    def element_spec(self) -> Any:
        """What the elements are."""
        return self._spec


class _Scanned(_Mapped):
    """What `Dataset.scan` gives."""

    def __init__(self, source: tf.data.Dataset, function: Any, spec: Any, state: Sequence[tf.Tensor]):
        self._input_dataset, self.function, self._spec = source, function, spec
        self._initial_state = tuple(state)
        variant = tf.raw_ops.ScanDataset(initial_state=list(state), other_arguments=[], **self._arguments())
        tf.data.Dataset.__init__(self, variant)
