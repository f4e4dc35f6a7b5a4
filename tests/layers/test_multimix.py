"""MultiMixLayer: several ordered mixtures of each pair, one interpolation of the whole batch after another."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from kmix_tf import KMixupLayer, MultiMixLayer, mix, unpack_targets

# The chance that one statistical assertion fails for a right layer, were its seeds chosen anew.
FALSE_ALARM = 1e-5
Z = stats.norm.isf(FALSE_ALARM / 2)
RNG = np.random.default_rng(9)
SIZE = 7
X = RNG.normal(size=(SIZE, 2, 3)).astype(np.float32)
EYE = np.eye(SIZE, dtype=np.float32)


def readout(shares, times):
    """Ratios and partners `(times, batch)`, which mixtures of one-hot targets show."""
    size = shares.shape[1]
    shares = np.asarray(shares, np.float64).reshape(times, size, size)
    own = np.eye(size)
    return (shares * own).sum(axis=2), (shares * (1 - own)).argmax(axis=2)


def mixture(values, ratio, partner):
    """All mixtures by NumPy, result m * batch + i of pair i."""
    values = np.asarray(values, np.float64)
    mixed = [
        share * values[row] + (1 - share) * values[other]
        for ratios, partners in zip(ratio, partner, strict=True)
        for row, (share, other) in enumerate(zip(ratios, partners, strict=True))
    ]
    return np.stack(mixed)


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.usefixtures("plain_and_compiled")
def test_mixtures_stand_in_order_for_everything_that_is_mixed(k):
    weight, table = RNG.uniform(size=SIZE).astype(np.float32), RNG.integers(0, 9, size=(SIZE, 2)).astype(np.uint8)
    layer = MultiMixLayer(4, 0.7, k=k)
    x, y, weights = layer({"a": X, "b": table}, (EYE, X[:, 0, 0]), weight, seed=3)
    _, plain = layer({"a": X, "b": table}, EYE, seed=3)
    ratio, partner = readout(plain, 4)
    # One pairing, four descending ratios, which the batch shares.
    assert (partner == partner[0]).all()
    assert sorted(partner[0]) == list(range(SIZE))
    np.testing.assert_allclose(ratio, ratio[:, :1] * np.ones(SIZE), atol=1e-6)
    assert (np.diff(ratio[:, 0]) < 0).all()
    for ours, values in ((x["a"], X), (x["b"], table)):
        assert ours.dtype == tf.float32
        np.testing.assert_allclose(ours, mixture(values, ratio, partner), atol=1e-5)
    counts = mixture(weight, ratio, partner)
    np.testing.assert_allclose(weights, counts, atol=1e-5)
    for ours, values in ((y[0], EYE), (y[1], X[:, 0, 0])):
        assert ours.dtype == tf.float32
        weighted = mixture((weight * values.T).T, ratio, partner)
        np.testing.assert_allclose(ours, (weighted.T / counts).T, atol=1e-5)


@pytest.mark.usefixtures("plain_and_compiled")
def test_pairs_are_those_of_k_mixup():
    for k in (1, 3):
        _, shares = MultiMixLayer(3, k=k)(X, EYE, seed=5)
        _, expected = readout(KMixupLayer(k)(X, EYE, seed=5)[1], 1)
        assert (readout(shares, 3)[1] == expected).all()


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("baseline", [None, "batch_augmentation"])
@pytest.mark.representatives("k, baseline", [(1, None), (3, "batch_augmentation")])
@pytest.mark.usefixtures("plain_and_compiled")
def test_one_interpolation_is_k_mixup(k, baseline, same):
    expected = KMixupLayer(k, 0.4, scope="sample")(X, EYE, seed=2)
    if baseline is None:
        same(MultiMixLayer(1, 0.4, k=k, scope="sample")(X, EYE, seed=2), expected, rtol=0, atol=0)
    else:
        # Of the same form, with draws of its own.
        x, y = MultiMixLayer(1, 0.4, k=k, scope="sample", baseline=baseline)(X, EYE, seed=2)
        assert x.shape == X.shape
        np.testing.assert_allclose(x, mixture(X, *readout(y, 1)), atol=1e-5)


@pytest.mark.parametrize("scope", ["group", "sample"])
@pytest.mark.representatives("scope", ["group"])
@pytest.mark.usefixtures("plain_and_compiled")
def test_narrower_scopes_draw_descending_ratios_for_each(scope):
    _, shares = MultiMixLayer(3, k=2, scope=scope)(X, EYE, seed=4)
    ratio, _ = readout(shares, 3)
    assert (np.diff(ratio, axis=0) < 0).all()
    # Seven samples in groups of two, the last alone; or each for itself.
    assert len({tuple(each) for each in ratio.T.round(5)}) == {"group": 4, "sample": 7}[scope]


def test_large_batches_need_other_samples_and_the_layer_says_where_they_come_from():
    with pytest.raises(ValueError, match=r"MultiMixLayer: baseline .*Received: baseline='large_batch'.*KMixupLayer"):
        MultiMixLayer(4, baseline="large_batch")
    # The recipe: as many mixtures as of multi-mix, of four times as many samples, with one ratio.
    rows = np.arange(8, dtype=np.float32)[:, np.newaxis]
    dataset = tf.data.Dataset.from_tensor_slices((rows, np.eye(8, dtype=np.float32))).batch(4 * 2)
    ((_, shares),) = dataset.map(KMixupLayer(1, 1.0))
    ratio, partner = readout(shares, 1)
    assert sorted(partner[0]) == list(range(8))
    np.testing.assert_allclose(ratio, np.full((1, 8), ratio[0, 0]), atol=1e-6)


@pytest.mark.usefixtures("plain_and_compiled")
def test_batch_augmentation_is_several_pairings_with_a_ratio_each():
    x, shares = MultiMixLayer(4, baseline="batch_augmentation")(X, EYE, seed=1)
    ratio, partner = readout(shares, 4)
    assert len(set(ratio[:, 0].round(5))) == 4
    np.testing.assert_allclose(ratio, ratio[:, :1] * np.ones(SIZE), atol=1e-6)
    assert len({tuple(each) for each in partner}) == 4
    np.testing.assert_allclose(x, mixture(X, ratio, partner), atol=1e-5)


@pytest.mark.usefixtures("plain_and_compiled")
def test_batch_augmentation_matches_each_of_its_pairings():
    x = RNG.normal(size=(12, 2)).astype(np.float32)

    def mean_square(k):
        _, shares = MultiMixLayer(8, k=k, baseline="batch_augmentation")(x, np.eye(12, dtype=np.float32), seed=1)
        _, partner = readout(shares, 8)
        return np.square(x - x[partner]).sum(axis=2).mean(axis=1)

    # Groups of six of twelve in the plane: matched distances are a fraction of random ones.
    assert mean_square(6).max() < mean_square(1).mean()


def test_what_rides_along_is_repeated():
    names = np.array([f"sample {row}" for row in range(SIZE)])
    ragged = tf.ragged.constant([[row] * row for row in range(SIZE)])
    layer = MultiMixLayer(3, passthrough=["name", "ragged", "id"])
    x, y = layer({"x": X, "name": names, "ragged": ragged}, {"y": EYE, "id": np.arange(SIZE)}, seed=1)
    np.testing.assert_allclose(x["x"], mixture(X, *readout(y["y"], 3)), atol=1e-5)
    assert [name.decode() for name in x["name"].numpy()] == [*names] * 3
    assert x["ragged"].to_list() == ragged.to_list() * 3
    assert y["id"].numpy().tolist() == [*range(SIZE)] * 3


def test_masks_are_joined_for_each_mixture():
    mask = np.arange(5) < RNG.integers(1, 5, size=(SIZE, 1))
    sequence = RNG.normal(size=(SIZE, 5)).astype(np.float32)
    x, y = MultiMixLayer(3, masks="mask")({"sequence": sequence, "mask": mask}, EYE, seed=1)
    _, partner = readout(y, 3)
    assert x["mask"].dtype == tf.bool
    assert (x["mask"].numpy().reshape(3, SIZE, 5) == (mask | mask[partner])).all()


def test_packed_targets_stand_in_the_same_order():
    x, packed = MultiMixLayer(3, targets="packed")(X, np.arange(SIZE), seed=1)
    y_a, y_b, ratio, _ = (part.numpy().reshape(3, SIZE) for part in unpack_targets(packed))
    assert (y_a == np.arange(SIZE)).all()
    np.testing.assert_allclose(x, mixture(X, ratio, y_b.astype(int)), atol=1e-5)
    assert (np.diff(ratio[:, 0]) < 0).all()


def test_two_loaders_are_mixed_in_the_same_order():
    second = X[::-1].copy()
    zeros, ones = np.zeros(SIZE, np.float32), np.ones(SIZE, np.float32)
    x, y = MultiMixLayer(3).between((X, zeros), (second, ones), seed=1)
    share = y.numpy().astype(np.float64).reshape(3, SIZE, 1, 1)
    assert (np.diff(share, axis=0) > 0).all()
    np.testing.assert_allclose(x.numpy().reshape(3, *X.shape), (1 - share) * X + share * second, atol=1e-5)


@pytest.mark.parametrize("baseline", [None, "batch_augmentation"])
@pytest.mark.representatives("baseline", [None])
def test_the_last_partial_batch_is_mixed_as_often(baseline):
    layer = MultiMixLayer(3, baseline=baseline, seed=1)
    dataset = tf.data.Dataset.from_tensor_slices((X, EYE)).batch(4)
    for stage in (lambda data: data.map(layer), mix(layer, seed=1)):
        mixed = dataset.apply(stage)
        assert mixed.element_spec[0].shape.as_list()[1:] == [2, 3]
        for (x, y), (rows, shares) in zip(mixed, dataset, strict=True):
            assert x.shape == (3 * len(rows), 2, 3)
            # Shares of all rows of the data, of which the batch holds some.
            np.testing.assert_allclose(x, np.tensordot(y.numpy(), X, axes=1), atol=1e-5)
            own = np.tile(shares.numpy(), (3, 1))
            assert ((y.numpy() * own).sum(axis=1) > 0).all()


@pytest.mark.usefixtures("plain_functions")
@settings(max_examples=25)
@given(
    st.integers(1, 12),
    st.integers(1, 5),
    st.integers(1, 4),
    st.sampled_from([None, "batch_augmentation"]),
    st.integers(0, 2**31 - 1),
)
def test_any_size_and_number_give_whole_mixtures(size, interpolations, k, baseline, seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(size, 2)).astype(np.float32)
    layer = MultiMixLayer(interpolations, k=k, baseline=baseline)
    mixed, shares = layer(x, np.eye(size, dtype=np.float32), seed=seed)
    assert mixed.shape == (interpolations * size, 2)
    np.testing.assert_allclose(mixed, shares.numpy() @ x, atol=1e-5)
    ratio, partner = readout(shares, interpolations)
    np.testing.assert_allclose(shares.numpy().sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(mixed, mixture(x, ratio, partner), atol=1e-5)


def test_more_interpolations_than_memory_holds_are_refused():
    # A tenth of a petabyte, of which nothing is made.
    layer = MultiMixLayer(1_000_000)
    images = np.zeros((2, 2000, 2000, 3), np.uint8)
    message = r"MultiMixLayer: interpolations of a batch must fit into memory, [\d.e+]+ GB. Received: interpolations="
    with pytest.raises(ValueError, match=message + "1000000, which take 9.6e[+]04 GB"):
        layer(images, np.zeros(2, np.float32), seed=1)
    spec = [tf.TensorSpec([2, 2000, 2000, 3], tf.uint8), tf.TensorSpec([2])]
    with pytest.raises(ValueError, match=message):
        tf.function(lambda x, y: layer(x, y, seed=1)).get_concrete_function(*spec)


def test_they_are_refused_where_the_batch_size_is_open_too():
    dataset = tf.data.Dataset.from_tensors((np.zeros((2000, 2000, 3), np.uint8), 0.0)).batch(2)
    message = (
        r"MultiMixLayer: interpolations of a batch must fit into memory, .* GB. Received: interpolations=1000000"
    )
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        next(iter(dataset.map(MultiMixLayer(1_000_000))))


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("interpolations", 0),
        ("interpolations", 2.5),
        ("alpha", -1),
        ("k", 0),
        ("scope", "pairs"),
        ("baseline", "other"),
    ],
)
def test_other_arguments_are_refused(argument, value):
    with pytest.raises(ValueError, match=rf"MultiMixLayer: {argument} must be .*Received: {argument}="):
        MultiMixLayer(**{argument: value})


WIDTH, BATCH, SEEDS = 3, 32, 500


@pytest.fixture(scope="module")
def gradients():
    """For several K: mean gradients of squared errors of a linear model, and each one's pairs, from seed to seed."""

    def draw(interpolations):
        layer, model = MultiMixLayer(interpolations), tf.constant([1.0, -0.5, 2.0])

        @tf.function
        def one(seed):
            x = tf.random.stateless_normal([BATCH, WIDTH], [7, seed])
            y = tf.random.stateless_normal([BATCH], [8, seed])
            mixed, targets = layer(x, {"y": y, "who": tf.eye(BATCH)}, seed=tf.stack([9, seed]))
            error = tf.linalg.matvec(mixed, model) - targets["y"]
            gradient = tf.reduce_mean(2 * error[:, tf.newaxis] * mixed, axis=0)
            return gradient, x, tf.linalg.matvec(x, model) - y, targets["who"]

        specs = (tf.float32,) * 4
        parts = tf.map_fn(one, tf.range(SEEDS), fn_output_signature=specs)
        gradient, x, error, who = (part.numpy().astype(np.float64) for part in parts)
        partner = np.stack([readout(each, interpolations)[1][0] for each in who])
        return gradient, x, error, partner

    return {interpolations: draw(interpolations) for interpolations in (1, 2, 8)}


def given_pairs(x, error, partner):
    """Mean and variance, over the ratio of a batch, of its mean gradient: a quadratic polynomial of the ratio."""
    theirs, their_error = x[partner], error[partner]

    def gradient(share):
        mixed = share * x + (1 - share) * theirs
        return (2 * (share * error + (1 - share) * their_error)[:, np.newaxis] * mixed).mean(axis=0)

    # alpha = 1: Gauss and Legendre integrate polynomials of the fourth degree exactly.
    nodes, weights = np.polynomial.legendre.leggauss(5)
    values = np.stack([gradient((node + 1) / 2) for node in nodes])
    mean = weights @ values / 2
    return mean, weights @ np.square(values - mean).sum(axis=1) / 2


def test_the_gradient_varies_by_its_pairs_and_by_one_kth_of_its_ratios(gradients):
    # multi-mix, Proposition III.1, as the law of total variance: Var = Var_pairs E + E_pairs Var / K. The last is
    # known exactly for each batch, so squared deviations are compared with it seed by seed.
    for interpolations, (gradient, *pairs) in gradients.items():
        means, variances = map(np.stack, zip(*(given_pairs(*each) for each in zip(*pairs, strict=True)), strict=True))
        surplus = np.square(gradient - means).sum(axis=1) - variances / interpolations
        assert abs(surplus.mean()) < Z * surplus.std() / np.sqrt(SEEDS)
        bias = (gradient - means) / np.sqrt(variances[:, np.newaxis])
        assert (np.abs(bias.mean(axis=0)) < Z * bias.std(axis=0) / np.sqrt(SEEDS)).all()


def test_the_gradient_varies_less_the_more_interpolations_there_are(gradients):
    variances = {
        number: np.square(gradient - gradient.mean(axis=0)).sum(axis=1)
        for number, (gradient, *_) in gradients.items()
    }
    # The same data and pairs for all: differences of squares, seed by seed, are positive beyond chance (one in 1000).
    for fewer, more in ((1, 2), (2, 8), (1, 8)):
        difference = variances[fewer] - variances[more]
        assert difference.mean() > 0
        assert stats.ttest_1samp(difference, 0, alternative="greater").pvalue < 1e-3
