import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kmix_tf.maths.moments import StreamingMoments


@given(st.lists(st.integers(0, 9), min_size=1, max_size=8), st.integers(0, 2**32 - 1))
def test_batches_of_any_sizes_give_the_mean_of_all_rows(sizes, seed):
    generator = np.random.default_rng(seed)
    batches = [generator.normal(size=(size, 2, 3)) for size in sizes]
    mean = StreamingMoments()
    for batch in batches:
        mean.update(batch)
    if sum(sizes) == 0:
        assert not mean.total and np.isnan(mean.mean)
    else:
        np.testing.assert_allclose(mean.variance, np.concatenate(batches).var(axis=0), atol=1e-12)
        np.testing.assert_allclose(mean.mean, np.concatenate(batches).mean(axis=0), atol=1e-12)


def test_weights_weigh_and_shards_merge():
    generator = np.random.default_rng(0)
    rows, weights = generator.normal(size=(50, 3)), generator.random(50)
    weights[:5] = 0
    shards = [StreamingMoments(), StreamingMoments(), StreamingMoments()]
    shards[0].update(rows[:5], weights[:5])
    shards[1].update(rows[5:30], weights[5:30])
    shards[2].update(rows[30:], weights[30:])
    for shard in shards[1:]:
        shards[0].merge(shard)
    expected = np.average(rows, axis=0, weights=weights)
    np.testing.assert_allclose(shards[0].mean, expected, atol=1e-12)
    spread = np.average(np.square(rows - expected), axis=0, weights=weights)
    np.testing.assert_allclose(shards[0].variance, spread, atol=1e-12)


def test_a_million_float32_rows_far_from_the_origin_keep_their_mean():
    generator = np.random.default_rng(0)
    mean, exact = StreamingMoments(), []
    for _ in range(1000):
        rows = (1e4 + generator.normal(size=(1000, 1))).astype(np.float32)
        mean.update(rows)
        exact.append(rows.astype(np.longdouble).mean())
    # A float32 accumulator would be off by more than 1 here.
    assert abs(mean.mean.item() - float(np.mean(exact))) < 1e-9
    # The rounding of rows to float32, of a 1024th, adds a millionth; a million draws are within 0.01 of 1.
    assert abs(mean.variance.item() - 1) < 0.01
