"""Compiling a memory-bound function, where that costs one compilation and not one a batch."""

import functools
from collections.abc import Callable
from typing import Any

import tensorflow as tf


def fused(function: Callable) -> Callable:
    """Runs `function` through XLA, which makes one pass over memory, and one dispatch, of many ops.

    Positional arguments are tensors or nested structures of them; keyword arguments are static. XLA compiles anew
    for each shape. So it is used when only the batch size is open, which means one or two compilations in a
    pipeline; where other dimensions vary, as in bucketed sequences, the plain ops run.
    """
    compiled = tf.function(function, jit_compile=True, autograph=False, reduce_retracing=True)

    @functools.wraps(function)
    def call(*tensors: Any, **static: Any) -> Any:
        tensors = tf.nest.map_structure(tf.convert_to_tensor, tensors)
        shapes = [leaf.shape for leaf in tf.nest.flatten(tensors)]
        is_static = all(shape.rank is not None and shape[1:].is_fully_defined() for shape in shapes)
        return (compiled if is_static else function)(*tensors, **static)

    return call
