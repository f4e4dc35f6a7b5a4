"""Pipelines built, read and dropped again: whether what TensorFlow holds for them piles up."""

import gc
from collections.abc import Iterator

import numpy as np
import tensorflow as tf
from harness import Row, main
from soak import layers, megabytes
from tensorflow.python.ops import script_ops

import kmix_tf

TITLE = "Pipelines built anew"
tf.get_logger().setLevel("ERROR")


def measure(short: bool) -> Iterator[Row]:
    """The row."""
    yield rebuilt(10 if short else 1000)


def rebuilt(times: int) -> Row:
    """Pipelines with a callback to the host, built, read and dropped again: two each time.

    `tf.numpy_function` wraps what it calls anew in each graph, and the outermost graph holds the wrapper for good.
    """
    batch = tf.random.stateless_uniform([16, 4, 6, 1], [0, 1]), tf.range(16) % 3
    layer = layers()["host k-mixup"]()

    def bare(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        return tf.numpy_function(np.negative, [x], tf.float32, stateful=False)

    kinds = {"bare": lambda data: data.map(bare).map(lambda x: x).map(lambda x: x)}
    kinds["ours"] = lambda data: data.map(layer)
    kinds["mix"] = lambda data: data.apply(kmix_tf.mix(layer, seed=0))
    left: dict[str, list[int]] = {name: [] for name in kinds}
    memory = []
    for _ in range(times):
        for name, build in kinds.items():
            before = registered()
            next(iter(build(tf.data.Dataset.from_tensors(batch).repeat(4))))
            left[name].append(registered() - before)
        memory.append(megabytes())
    held, half = sum(a <= 2 and b <= 2 for a, b in zip(left["ours"], left["mix"], strict=True)), times // 2
    told = f"{memory[half] - memory[0]:+.0f} MB over the first half, {memory[-1] - memory[half]:+.0f} over the second"
    mean = {name: f"{np.mean(counts):.1f}" for name, counts in left.items()}
    told += f"; left by a map {mean['ours']}, by mix {mean['mix']}"
    return Row("pipelines rebuilt: at most two callbacks left by each", times, held, f"{mean['bare']} left", told)


def registered() -> int:
    """Functions that TensorFlow holds to call back."""
    gc.collect()
    return script_ops._py_funcs.size()


main(__name__, __doc__)
