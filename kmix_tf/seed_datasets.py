"""Seeds for the batches of a dataset: resumable, and none twice where the dataset is split or sent elsewhere."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from kmix_tf._graph import assertion

# How many shards of a dataset that was sent elsewhere are known again: see `_marks`.
_SHARDS = 256

# Odd, and far from any seed a person chooses: shards do not draw what another seed draws.
_SHARD = 0x5851F42D

# Odd as well, and no small multiple of the other's multiples: the multiplier of Vigna's xorshift generators.
_STEP = 0x2545F4914F6CDD1D

_SENT_ELSEWHERE = (
    "mix: a worker of tf.data service makes a pipeline anew for each epoch, so a seeded stage would draw the same in "
    "every epoch and on every worker. Received: such a worker. Mix after the data came back: "
    "dataset.apply(distribute(...)).apply(mix(...)). Or give up equal streams: mix(..., salted=True)."
)


def seeds_and_steps(seed: int | None, first_step: int | Callable[[], int], salted: bool) -> tf.data.Dataset:
    """An endless dataset of what `seed_and_step` takes: a new seed for each batch and each epoch, or new iterator.

    Args:
        seed: an integer, or None for TensorFlow's global seed, or else random ones.
        first_step: of the first batch, an integer, or a function that is asked whenever an iterator begins: then the
            seed of a batch follows from its step alone.
        salted: True for seeds that are random where the graph runs, whatever else says.
    """
    seeds, (marks, ours) = _stepped(seed) if callable(first_step) else _random(seed), _marks(seed)

    @tf.autograph.experimental.do_not_convert
    def epoch(mark: tf.Tensor, shard: tf.Tensor) -> tf.data.Dataset:
        # Auto-sharding by files asks each source for files, and takes this for one because it could read some. What
        # it shards is the dataset whose elements come here: each shard begins with another.
        tf.data.TFRecordDataset([])
        if not salted:
            assertion(~tf.reduce_any(tf.reduce_all(mark == ours, axis=1)), _SENT_ELSEWHERE)
        drawn = _unseeded() if salted else seeds
        shards = tf.data.Dataset.from_tensors(shard).repeat()
        first = _asked(first_step, mark) if callable(first_step) else first_step
        return tf.data.Dataset.zip((drawn, _counted_from(first), shards))

    endless = tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY)
    return tf.data.Dataset.zip((marks, _counted_from(0))).flat_map(epoch).apply(endless)


def seed_and_step(numbers: tuple[tf.Tensor, tf.Tensor, tf.Tensor], by_step: bool) -> tuple[tf.Tensor, tf.Tensor]:
    """The seed of a batch, an integer `(2,)`, and its step; by_step: whether the seed follows from the step."""
    drawn, step, shard = numbers
    return drawn + shard * _SHARD + (step * _STEP if by_step else 0), step


def _asked(first_step: Callable[[], int], mark: tf.Tensor) -> tf.Tensor:
    """What the function says when this runs, an integer.

    It is told the mark, which it needs not: what depends on nothing is computed once, when a graph is optimised. It
    keeps no state, or iterators could not be saved; one that is restored asks again, and goes on where it was.
    """
    asked = tf.numpy_function(lambda _: np.int64(first_step()), [mark], tf.int64, stateful=False)
    return tf.ensure_shape(asked, [])


def _stepped(seed: int | None) -> tf.data.Dataset:
    """One seed for all batches, which differ by their steps."""
    return tf.data.Dataset.from_tensors(_random(seed).take(1).get_single_element()).repeat()


def _counted_from(first: int | tf.Tensor) -> tf.data.Dataset:
    """The integers from `first` on: as `Dataset.counter`, but without a function, which each iterator would make."""
    return tf.data.Dataset.range(first, tf.int64.max)


def _random(seed: int | None) -> tf.data.Dataset:
    return tf.data.Dataset.random(seed=seed, rerandomize_each_iteration=True).batch(2, drop_remainder=True)


def _marks(seed: int | None) -> tuple[tf.data.Dataset, tf.Tensor]:
    """Numbers by which a dataset finds out that it was sent elsewhere, and those that say so.

    Random numbers that are drawn anew in each epoch come from a state that stays in the process. Here, the first of
    them have been drawn once this returns, and never come again. Whoever draws these has begun anew: a copy of the
    graph, made by another process, as a service's workers do for each epoch.
    """
    marks = _random(seed)
    return marks, marks.batch(_SHARDS).take(1).get_single_element()


def _unseeded() -> tf.data.Dataset:
    """Random pairs whatever the global seed is, within the function of a dataset.

    Its state is its iterator's, which a checkpoint can hold; a random op's could not be.
    """
    tf.random.set_seed(None)  # Of the graph that is being made, and of no other.
    return tf.data.Dataset.random().batch(2, drop_remainder=True)
