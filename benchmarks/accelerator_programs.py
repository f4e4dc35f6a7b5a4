"""The half of `accelerator.py` that needs TensorFlow: compiled programs as StableHLO text, their inputs and results.

What a program reads comes in its arguments, weights included: a variable that a function closes over cannot be told
from them in the text. Results are those of TensorFlow on the processor, which compiles the same function.
"""

import json
import pathlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import networks
import numpy as np
import tensorflow as tf

from kmix_tf import KMixupLayer
from kmix_tf.blend.linear import interpolate
from kmix_tf.pairing.facing import facing_cost
from kmix_tf.pairing.graph_solver import solve_at_once


class Program(NamedTuple):
    """A function of tensors, what it is called with, and how far off its results may be, by `accelerator.error`."""

    function: Callable
    arguments: Sequence[Any]
    tolerance: float = 1e-5


def programs(quick: bool) -> dict[str, Program]:
    """All programs by name; `accelerator.py` says what they are for."""
    generator = np.random.default_rng(0)
    batch, k, size = (8, 4, 8) if quick else (128, 32, 32)
    made = {}
    for problems in (2,) if quick else (4, 16, 64):
        for width in (4,) if quick else (16, 32, 128):
            cost = distances(generator, problems, width)
            made[f"assignment, {problems} x {width}x{width}"] = Program(solve_at_once, [cost], 0)
    images, labels = data(generator, batch, size)
    order = generator.permutation(batch).astype(np.int32)
    ratio = generator.random(batch, dtype=np.float32)
    made["copy"] = Program(lambda x: tf.identity(x), [images], 0)
    made["blend"] = Program(interpolate, [images, images, order, ratio])
    made["facing costs"] = Program(facing(k), [order, images], 1e-4)
    made["mix"] = Program(mixing(k), [images, labels, seed()])
    return made | steps(generator, quick, k, size)


def steps(generator, quick, k, size):
    """A step of training on a large batch, mixed and not."""
    model = networks.residual_network(*((2, 1, size) if quick else ()))
    weights = [[each.numpy() for each in part] for part in (model.trainable_variables, model.non_trainable_variables)]
    arguments = [*data(generator, 16 if quick else 512, size), seed(), *weights]
    return {
        "step": Program(step(model, lambda x, y, _: (x, y)), arguments, 1e-3),
        "mixed step": Program(step(model, mixing(k)), arguments, 1e-3),
    }


def seed():
    return np.array([1, 2], np.int32)


def data(generator, batch, size):
    labels = np.eye(10, dtype=np.float32)[generator.integers(0, 10, batch)]
    return generator.random((batch, size, size, 3), dtype=np.float32), labels


def distances(generator, problems, k):
    """Squared distances of random points, as matching has them."""
    first, second = generator.standard_normal((2, problems, k, 64))
    return np.square(first[:, :, np.newaxis] - second[:, np.newaxis]).sum(-1).astype(np.float32)


def facing(k):
    def cost(order, images):
        leaves = [images]
        return facing_cost(order, leaves, leaves, "sqeuclidean", k=k, cyclic=True)

    return cost


def mixing(k):
    layer = KMixupLayer(k, solver="graph")

    def mixed(x, y, seed):
        return layer.mixed(x, y, training=True, seed=seed)

    return mixed


def step(model, mixed):
    """One of stochastic gradient descent: the loss, and what becomes of the weights.

    Its rate is 1, so that gradients show in the weights.
    """

    def run(x, y, seed, trainable, others):
        x, y = mixed(x, y, seed)
        with tf.GradientTape() as tape:
            tape.watch(trainable)
            logits, others = model.stateless_call(trainable, others, x, training=True)
            loss = tf.reduce_mean(keras.losses.categorical_crossentropy(y, logits, from_logits=True))
        slopes = tape.gradient(loss, trainable)
        return loss, [weight - slope for weight, slope in zip(trainable, slopes, strict=True)], others

    return run


def export(folder: pathlib.Path, quick: bool) -> None:
    """Writes all programs into a folder: text, inputs and results of each, and what there is in `programs.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    index = []
    for number, (name, program) in enumerate(programs(quick).items()):
        arguments = tf.nest.map_structure(tf.convert_to_tensor, list(program.arguments))
        function = tf.function(program.function, jit_compile=True, autograph=False)
        text = function.experimental_get_compiler_ir(*arguments)(stage="stablehlo")
        inputs, results = (tf.nest.flatten(each) for each in (arguments, function(*arguments)))
        (folder / f"{number}.mlir").write_text(text)
        save(folder / f"{number}-inputs.npz", inputs)
        save(folder / f"{number}-results.npz", results)
        index.append({"name": name, "tolerance": program.tolerance})
    (folder / "programs.json").write_text(json.dumps({"quick": quick, "programs": index}, indent=1))


def save(path, tensors):
    np.savez(path, *[each.numpy() for each in tensors])
