"""`Dataset.map` for functions of tensors alone, whose iterators begin sooner."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

# A captured function is optimised anew for each iterator, in each epoch: for a mix that took 20 to 200 ms, and no
# batch was faster for it, as what is large in it is compiled. TensorFlow leaves that out, and the search for a device
# for each node, for functions of which this attribute says that integers stay where the function runs. It runs on the
# CPU, as all of `tf.data`.
_AS_IT_IS = {"experimental_ints_on_device": True}


def mapped(dataset: tf.data.Dataset, function: Callable, num_parallel_calls: int | None) -> tf.data.Dataset:
    """`dataset.map(function)`, in order; without optimising the function, where it and its elements are plain.

    Plain are tensors whose kind and structure `tf.nest` keeps, and functions that capture nothing: what is captured,
    as variables of a model, may be on another device.
    """
    plain = _plain(dataset, function) if tf.executing_eagerly() and _is_plain(dataset.element_spec) else None
    if plain is not None:
        return _Mapped(dataset, *plain, num_parallel_calls)
    if num_parallel_calls is None:
        return dataset.map(function)
    return dataset.map(function, num_parallel_calls=num_parallel_calls, deterministic=True)


def _plain(dataset: tf.data.Dataset, function: Callable) -> tuple[Any, Any] | None:
    """The function of an element's tensors, and what its results are; None if they are not plain."""
    specs: list[Any] = []

    def of_tensors(*tensors: tf.Tensor) -> list[tf.Tensor]:
        result = function(*tf.nest.pack_sequence_as(dataset.element_spec, list(tensors)))
        if not all(isinstance(leaf, tf.Tensor) for leaf in tf.nest.flatten(result)):
            return []
        specs.append(tf.nest.map_structure(tf.TensorSpec.from_tensor, result))
        return tf.nest.flatten(result)

    traced = tf.function(of_tensors, autograph=False, experimental_attributes=_AS_IT_IS).get_concrete_function(
        *(tf.TensorSpec(leaf.shape, leaf.dtype) for leaf in tf.nest.flatten(dataset.element_spec))
    )
    is_plain = specs and _is_plain(specs[-1]) and not traced.captured_inputs
    return (traced, tf.nest.map_structure(_unnamed, specs[-1])) if is_plain else None


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
        arguments: dict[str, Any] = {
            "input_dataset": tf.data.experimental.to_variant(source),
            "other_arguments": [],
            "f": function,
            "output_types": [leaf.dtype for leaf in tf.nest.flatten(spec)],
            "output_shapes": [leaf.shape for leaf in tf.nest.flatten(spec)],
            "preserve_cardinality": True,
        }
        if num_parallel_calls is None:
            variant = tf.raw_ops.MapDataset(**arguments)
        else:
            calls = tf.cast(num_parallel_calls, tf.int64)
            variant = tf.raw_ops.ParallelMapDatasetV2(num_parallel_calls=calls, deterministic="true", **arguments)
        super().__init__(variant)

    def _inputs(self) -> list[tf.data.Dataset]:
        return [self._input_dataset]

    @property
    def element_spec(self) -> Any:
        """What the elements are."""
        return self._spec
