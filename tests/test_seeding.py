"""Seeds: different where they must differ, equal where they must be equal."""

import concurrent.futures
import copy
import itertools
import pickle
import random
import threading
import time

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from kmix_tf.seeding import SeedStream, as_seed, permutation, split

# A false alarm at another choice of seeds is this likely for each statistical assertion.
FALSE_ALARM = 1e-5

int32s = st.integers(-(2**31), 2**31 - 1)
pairs = st.tuples(int32s, int32s)


def test_an_integer_is_the_seed_of_a_pair_whose_first_is_zero():
    assert as_seed(7).numpy().tolist() == as_seed((0, 7)).numpy().tolist() == [0, 7]


@pytest.mark.parametrize("seed", [np.int64(2**40), (2**40, 3), tf.constant([1, 2], tf.int64), np.array([3, 4])])
def test_64_bit_seeds_are_taken(seed):
    assert as_seed(seed).shape == [2]
    assert tf.random.stateless_uniform([], as_seed(seed)).shape == []


@pytest.mark.parametrize("seed", [0.5, True, "7", [1.0, 2.0], [1, 2, 3], [[1, 2]], []])
def test_other_seeds_are_refused(seed):
    with pytest.raises(ValueError, match=r"seed must be an integer or a pair of integers.*Received: seed of dtype"):
        as_seed(seed)


@given(pairs, st.integers(2, 6))
def test_the_parts_of_a_seed_all_differ(pair, count):
    parts = [tuple(part.numpy()) for part in split(tf.constant(pair), count)]
    assert len(set(parts)) == len(parts) == count


@given(pairs, pairs)
def test_different_seeds_have_different_parts(first, second):
    for ours, theirs in zip(split(tf.constant(first), 3), split(tf.constant(second), 3), strict=True):
        assert (tuple(ours.numpy()) == tuple(theirs.numpy())) == (first == second)


def test_draws_from_the_parts_of_seeds_are_uncorrelated():
    # 0, 1, 2, ... are the seeds people use; an affine map of them must not show in the draws.
    count = 2000

    @tf.function
    def draws(seed):
        return tf.stack([tf.random.stateless_uniform([], part) for part in (as_seed(seed), *split(as_seed(seed), 3))])

    sample = tf.map_fn(draws, tf.range(count), fn_output_signature=tf.float32).numpy()
    for ours, theirs in itertools.combinations(sample.T, 2):
        assert stats.pearsonr(ours, theirs).pvalue > FALSE_ALARM
    for column in sample.T:
        assert stats.kstest(column, "uniform").pvalue > FALSE_ALARM
        assert stats.pearsonr(column[1:], column[:-1]).pvalue > FALSE_ALARM


@given(pairs, st.integers(0, 100))
def test_a_permutation_holds_every_row_once(pair, size):
    drawn = permutation(tf.constant(pair), tf.constant(size))
    assert drawn.dtype == tf.int32
    assert sorted(drawn.numpy()) == list(range(size))


def test_permutations_are_uniform():
    @tf.function
    def draw(seed):
        return permutation(as_seed(seed), 4)

    drawn = tf.map_fn(draw, tf.range(1200)).numpy()
    counts = [np.all(drawn == order, axis=1).sum() for order in itertools.permutations(range(4))]
    assert sum(counts) == 1200
    assert stats.chisquare(counts).pvalue > FALSE_ALARM


def test_a_permutation_is_the_same_under_xla():
    compiled = tf.function(permutation, jit_compile=True)
    assert compiled(as_seed(3), 17).numpy().tolist() == permutation(as_seed(3), 17).numpy().tolist()


def taken(stream, count=5):
    return [tuple(stream.next().numpy()) for _ in range(count)]


def test_a_seeded_stream_repeats_and_never_stands_still():
    assert taken(SeedStream(1)) == taken(SeedStream(1))
    assert taken(SeedStream(1)) != taken(SeedStream(2))
    assert len(set(taken(SeedStream(1), 50))) == 50


def test_an_unseeded_stream_follows_pythons_generator():
    streams = []
    for start in (5, 5, 6):
        random.seed(start)
        streams.append(taken(SeedStream(None)))
    assert streams[0] == streams[1] != streams[2]


def test_two_unseeded_streams_differ():
    assert taken(SeedStream(None)) != taken(SeedStream(None))


def test_what_a_stream_gives_is_a_seed():
    seed = SeedStream(0).next()
    assert as_seed(seed).numpy().tolist() == seed.numpy().tolist()


@pytest.mark.parametrize("in_graph", [False, True])
def test_first_calls_of_many_threads_draw_differently(in_graph):
    # The moment at which all threads find no generator is short: it is held open.
    for _ in range(3):
        stream = SeedStream(7)
        from_seed, start = tf.random.Generator.from_seed, threading.Barrier(8)

        def slow(seed, make=from_seed):
            time.sleep(0.05)
            return make(seed)

        def draw(_, stream=stream, start=start):
            start.wait()
            call = tf.function(stream.next) if in_graph else stream.next
            return tuple(call().numpy().tolist())

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(tf.random.Generator, "from_seed", slow)
            with concurrent.futures.ThreadPoolExecutor(8) as pool:
                drawn = list(pool.map(draw, range(8)))
        assert len(set(drawn)) == 8


def test_copies_begin_anew_with_their_own_seed_or_another():
    for copied in (copy.deepcopy, lambda each: pickle.loads(pickle.dumps(each))):
        seeded, free = SeedStream(7), SeedStream(None)
        first = [stream.next().numpy().tolist() for stream in (seeded, free)]
        assert copied(seeded).next().numpy().tolist() == first[0]
        assert copied(free).next().numpy().tolist() != first[1]
        assert seeded.next().numpy().tolist() != first[0]
