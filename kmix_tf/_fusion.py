"""Compiling functions of many small or memory-bound ops, where that costs few compilations and not one a batch."""

import functools
from collections.abc import Callable
from typing import Any

import tensorflow as tf


def compiled(function: Callable) -> Callable:
    """Runs `function` through XLA: one dispatch, and one pass over memory, of many ops.

    Positional arguments are tensors or nested structures of them, whose shapes vary with the batch size alone: XLA
    compiles anew for each shape, which is once or twice in a pipeline. Keyword arguments are static.
    """
    return tf.function(function, jit_compile=True, autograph=False, reduce_retracing=True)


def fused(features: int) -> Callable:
    """`compiled`, for functions of features of any shape, which the first so many positional arguments hold.

    Where other dimensions of these than the batch size are open, as in bucketed sequences, the plain ops run instead.
    """

    def decorate(function: Callable) -> Callable:
        run_compiled = compiled(function)

        @functools.wraps(function)
        def call(*tensors: Any, **static: Any) -> Any:
            tensors = tf.nest.map_structure(tf.convert_to_tensor, tensors)
            shapes = [leaf.shape for leaf in tf.nest.flatten(tensors[:features])]
            is_static = all(shape.rank is not None and shape[1:].is_fully_defined() for shape in shapes)
            return (run_compiled if is_static else function)(*tensors, **static)

        return call

    return decorate
