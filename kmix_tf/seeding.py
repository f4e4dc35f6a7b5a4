"""Stateless seeds: where they come from, how one becomes several, and permutations drawn from them.

Everything random in this package is a function of a seed, an integer tensor of shape `(2,)`.
"""

import random
from typing import Any

import tensorflow as tf

# Odd, so that multiplication is one to one; from the 32-bit linear congruential generators of Numerical Recipes.
_MULTIPLIER, _INCREMENT = 1664525, 1013904223

# Named, because the default differs between plain and compiled functions, and with it the draws from a seed.
_ALGORITHM = "philox"


def as_seed(seed: Any) -> tf.Tensor:
    """Makes an integer, a pair of integers or an integer tensor of shape `(2,)` a stateless seed.

    Raises:
        ValueError: for any other type or shape.
    """
    seed = tf.convert_to_tensor(seed)
    if not seed.dtype.is_integer or seed.shape.rank not in (0, 1) or seed.shape not in ([], [2]):
        raise ValueError(
            "seed must be an integer or a pair of integers, as tf.random.stateless_uniform takes it. "
            f"Received: seed of dtype {seed.dtype.name} and shape {seed.shape}."
        )
    return tf.stack([tf.zeros_like(seed), seed]) if seed.shape.rank == 0 else seed


def split(seed: tf.Tensor, count: int) -> list[tf.Tensor]:
    """Makes `count` different seeds of one.

    By an affine map each, modulo the integers' range: seeds need only differ, TensorFlow's generators scramble them.
    (`tf.random.split` draws them instead, which took a tenth of the time of a whole mix.)
    """
    return [seed * (_MULTIPLIER + 2 * i) + (_INCREMENT + i) for i in range(count)]


def permutation(seed: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """A uniform permutation of `range(size)`, int32, that also compiles under XLA.

    Sorting 32-bit keys; two of 512 keys are equal once in 30,000 draws, which then keep their order.
    """
    return tf.argsort(random_bits([size], seed))


def random_bits(shape: Any, seed: tf.Tensor) -> tf.Tensor:
    """Uniform int32 over its whole range."""
    return tf.random.stateless_uniform(shape, seed, None, None, tf.int32, alg=_ALGORITHM)


def random_uniform(shape: Any, seed: tf.Tensor) -> tf.Tensor:
    """Uniform float32 in [0, 1), multiples of 2^-23.

    Made of bits here, because XLA makes other floats of the same bits than TensorFlow's own kernel does.
    """
    return tf.cast(random_bits(shape, seed) & 0x7FFFFF, tf.float32) * 2.0**-23


class SeedStream:
    """Seeds for calls that bring none: one fresh seed a call, from one generator.

    A `tf.random.Generator` is read atomically, so parallel calls get different seeds, and it goes on where it
    was in the next epoch. A random op inside `Dataset.map` would repeat itself in every epoch as soon as it or
    TensorFlow has a seed. What it cannot do is be saved in an iterator checkpoint: `kmix_tf.mix` can.
    """

    def __init__(self, seed: int | None):
        # Drawn from Python's generator, so that keras.utils.set_random_seed governs it.
        self._seed = random.getrandbits(62) if seed is None else seed
        self._generator = None

    def next(self) -> tf.Tensor:
        if self._generator is None:
            with tf.init_scope():
                self._generator = tf.random.Generator.from_seed(self._seed)
        return self._generator.make_seeds(1)[:, 0]
