"""Cutting batches of any size into groups."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from kmix_tf.pairing.facing import _forbid_padding, _points, matched_rows

pytestmark = pytest.mark.usefixtures("plain_functions")

sizes = st.integers(0, 70)
ks = st.integers(1, 40)
orders = st.integers(0, 2**32 - 1)


def shuffled(size, seed):
    return np.random.default_rng(seed).permutation(size).astype(np.int32)


def facing_rows(order, k, cyclic):
    """Rows of both sides by groups, `(groups, k)`, padding included, read off features that are the rows' numbers."""
    x = tf.range(len(order), dtype=tf.float64)[:, tf.newaxis] + 1
    sides = _points([x], [] if cyclic else [x], tf.constant(order), tf.ones([], tf.float64), k=k, cyclic=cyclic)
    # Points are measured from the first row.
    return [leaves[0].numpy()[:, :, 0].astype(int) for leaves in sides]


def faces(order, k, cyclic):
    """Rows of each group and the rows that face them, padding left out."""
    if not len(order):
        return []
    ours, theirs = facing_rows(order, k, cyclic)
    lengths = [min(ours.shape[1], len(order) - number * ours.shape[1]) for number in range(len(ours))]
    return [(rows[:n], facing[:n]) for rows, facing, n in zip(ours, theirs, lengths, strict=True)]


@given(sizes, ks, orders)
def test_in_one_batch_groups_face_other_rows_and_every_row_is_faced_once(size, k, seed):
    groups = faces(shuffled(size, seed), k, cyclic=True)
    ours = [row for rows, _ in groups for row in rows]
    theirs = [row for _, rows in groups for row in rows]
    assert sorted(ours) == sorted(theirs) == list(range(size))
    if size >= 2:
        assert all(not set(rows) & set(facing) for rows, facing in groups)


@given(sizes, ks, orders)
def test_in_one_batch_groups_have_k_rows_or_half_the_batch_and_the_last_one_the_rest(size, k, seed):
    lengths = [len(rows) for rows, _ in faces(shuffled(size, seed), k, cyclic=True)]
    largest = max(1, min(k, size // 2))
    full, rest = divmod(size, largest)
    assert lengths == [largest] * full + [rest] * (rest > 0)


@given(sizes, ks, orders)
def test_two_batches_are_cut_alike(size, k, seed):
    groups = faces(shuffled(size, seed), k, cyclic=False)
    assert sum(len(rows) for rows, _ in groups) == size
    for number, (rows, facing) in enumerate(groups):
        assert rows.tolist() == facing.tolist()
        assert len(rows) == min(k, size - number * k)


@given(sizes, ks, orders)
def test_a_full_group_faces_the_next_one(size, k, seed):
    # With full groups only there is no remainder to share: the circle is plain.
    k = min(k, 8)
    order = shuffled(size - size % k, seed)
    if len(order) < 2 * k:
        return
    groups = faces(order, k, cyclic=True)
    for number, (_, facing) in enumerate(groups):
        assert facing.tolist() == groups[(number + 1) % len(groups)][0].tolist()


@given(st.integers(1, 30), st.integers(1, 9), orders, st.sampled_from([1.0, 1e-3, 1e5]))
def test_padding_takes_no_real_row_and_leaves_the_real_rows_their_optimum(size, k, seed, scale):
    k = min(k, size)
    count = -(-size // k)
    cost = np.random.default_rng(seed).uniform(0, scale, size=(count, k, k))
    guarded = _forbid_padding(tf.constant(cost), tf.constant(size)).numpy()
    assert (guarded >= 0).all()
    for number in range(count):
        real = min(k, size - number * k)
        columns = linear_sum_assignment(guarded[number])[1]
        assert sorted(columns[:real]) == list(range(real))
        among_real = cost[number, :real, :real]
        least = among_real[linear_sum_assignment(among_real)].sum()
        assert among_real[np.arange(real), columns[:real]].sum() == pytest.approx(least, rel=1e-9)


@given(sizes, ks, orders, st.booleans())
def test_matches_within_groups_become_partners_of_rows(size, k, seed, cyclic):
    order = shuffled(size, seed)
    groups = faces(order, k, cyclic)
    width = max(1, min(k, size // 2 if cyclic else size))
    # A matching of each group with its face; the padding of the last group is matched with itself.
    rng = np.random.default_rng(seed + 1)
    columns = np.tile(np.arange(width, dtype=np.int32), (-(-size // width), 1))
    expected_partner, expected_group = np.empty(size, np.int32), np.empty(size, np.int32)
    for number, (rows, facing) in enumerate(groups):
        columns[number, : len(rows)] = rng.permutation(len(rows))
        expected_partner[rows] = facing[columns[number, : len(rows)]]
        expected_group[rows] = number
    partner, group = matched_rows(tf.constant(order), tf.constant(columns), k=k, cyclic=cyclic)
    assert partner.dtype == group.dtype == tf.int32
    assert partner.numpy().tolist() == expected_partner.tolist()
    assert group.numpy().tolist() == expected_group.tolist()
