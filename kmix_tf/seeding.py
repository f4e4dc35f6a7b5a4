"""Stateless seeds: where they come from, how one becomes several, and permutations drawn from them.

Everything random in this package is a function of a seed, an integer tensor of shape `(2,)`.
"""

import random
import threading
from typing import Any, NamedTuple

import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._graph import mark_home, require_home

# Odd, so that multiplication is one to one; from the 32-bit linear congruential generators of Numerical Recipes.
_MULTIPLIER, _INCREMENT = 1664525, 1013904223

# Makes one 64-bit key of a seed's two numbers, different for all pairs of 32 bits; both factors are odd.
_KEY = (-0x61C8864680B583EB, 1)

_PHILOX = 1  # the number of the algorithm in TensorFlow's ops


class MixSeeds(NamedTuple):
    """The seeds of one mix, a different one for each purpose, integers `(2,)`.

    pairing, ratio, blend: of the decisions. chance: of whether a batch is mixed. choice: of which mix, or at which
    place, where there are several.
    """

    pairing: tf.Tensor
    ratio: tf.Tensor
    blend: tf.Tensor
    chance: tf.Tensor
    choice: tf.Tensor


def mix_seeds(seed: Any) -> MixSeeds:
    """The seeds of one mix, of its seed."""
    return MixSeeds(*split(as_seed(seed), len(MixSeeds._fields)))


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


def checked_seed(seed: Any) -> int:
    """A seed that TensorFlow's, NumPy's and Python's integers all hold: in [0, 2^31)."""
    seed = _checks.integer("seed", seed, minimum=0)
    if seed >= 2**31:
        _checks.refuse("seed", "an integer in [0, 2^31)", seed)
    return seed


def split(seed: tf.Tensor, count: int) -> list[tf.Tensor]:
    """Makes `count` different seeds of one.

    By an affine map each, modulo the integers' range: seeds need only differ, the generator scrambles them.
    (`tf.random.split` draws them instead, which took a tenth of the time of a whole mix.)
    """
    factors = tf.constant([[_MULTIPLIER + 2 * i] for i in range(count)], seed.dtype)
    steps = tf.constant([[_INCREMENT + i] for i in range(count)], seed.dtype)
    return tf.unstack(seed * factors + steps, count)


def permutation(seed: tf.Tensor, size: Any) -> tf.Tensor:
    """A uniform permutation of `range(size)`, int32, that also compiles under XLA.

    Sorting 32-bit keys; two of 512 keys are equal once in 30,000 draws, which then keep their order.
    """
    return tf.math.top_k(random_bits([size], seed), size).indices


def random_bits(shape: Any, seed: tf.Tensor) -> tf.Tensor:
    """Uniform int32 over its whole range: Philox, with the seed as its key, in plain and compiled functions alike.

    The op itself, because `tf.random.stateless_uniform` takes three times as many nodes to make a key of a seed.
    """
    key = tf.reduce_sum(tf.cast(seed, tf.int64) * tf.constant(_KEY, tf.int64), keepdims=True)
    return tf.raw_ops.StatelessRandomUniformFullIntV2(
        shape=shape, key=tf.bitcast(key, tf.uint64), counter=tf.zeros([2], tf.uint64), alg=_PHILOX, dtype=tf.int32
    )


def random_uniform(shape: Any, seed: tf.Tensor) -> tf.Tensor:
    """Uniform float32 in [0, 1), multiples of 2^-23.

    Made of bits here, because XLA makes other floats of the same bits than TensorFlow's own kernel does.
    """
    return tf.cast(random_bits(shape, seed) & 0x7FFFFF, tf.float32) * 2.0**-23


_SENT_ELSEWHERE = (
    "a worker of tf.data service makes a map anew for each epoch, so draws would begin again in every epoch and on "
    "every worker. Received: such a worker. Map after the data came back: dataset.apply(distribute(...)).map(layer). "
    "Or mix on workers by kmix_tf.mix(layer, salted=True)."
)

# Of all streams: a lock of its own could not be pickled or copied with a layer.
_MAKING = threading.Lock()


class SeedStream:
    """Seeds for calls that bring none: one fresh seed a call, from one generator.

    A `tf.random.Generator` is read atomically, so parallel calls get different seeds, and it goes on where it
    was in the next epoch. A random op inside `Dataset.map` would repeat itself in every epoch as soon as it or
    TensorFlow has a seed. What it cannot do is be saved in an iterator checkpoint: `kmix_tf.mix` can.
    """

    def __init__(self, seed: int | None):
        self._given = seed
        self._begin()

    def _begin(self) -> None:
        # Drawn from Python's generator, so that keras.utils.set_random_seed governs it.
        self._seed = random.getrandbits(62) if self._given is None else self._given
        self._generator: tf.random.Generator | None = None
        self._is_made_in_graph = not tf.executing_eagerly()

    def next(self) -> tf.Tensor:
        """The seed of a call, int64 `(2,)`.

        Raises:
            ValueError: for a layer that is made anew in each trace of a function: its stream would be, too.
        """
        if self._generator is None:
            self._require_lasting()
            # Threads that come here at once would each begin the stream.
            with _MAKING:
                if self._generator is None:
                    with tf.init_scope():
                        self._generator = tf.random.Generator.from_seed(self._seed)
                        mark_home()
        with tf.control_dependencies(require_home(_SENT_ELSEWHERE)):
            return self._generator.make_seeds(1)[:, 0]

    def _require_lasting(self) -> None:
        if self._is_made_in_graph and not tf.executing_eagerly():
            raise _checks.problem(
                "make the layer outside the function that calls it: layer = KMixupLayer(16), dataset.map(layer). "
                "Received: one made within it, as in dataset.map(lambda x, y: KMixupLayer(16)(x, y)), whose draws "
                "would begin anew."
            )

    def __getstate__(self) -> dict[str, Any]:
        return {"given": self._given}

    def __setstate__(self, state: dict[str, Any]) -> None:
        # A copy begins anew: with its own seed if there is one, otherwise with another, for copies that go to several
        # processes are not to draw alike.
        self._given = state["given"]
        self._begin()
