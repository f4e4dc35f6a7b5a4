"""The pipeline stage: the same seed, the same stream, whatever runs in parallel or is resumed."""

import time

import keras
import numpy as np
import pytest
import tensorflow as tf

from kmix_tf import KMixupLayer, MixLayer, RandomPairing, mix

RNG = np.random.default_rng(5)
X = RNG.normal(size=(4, 3)).astype(np.float32)
Y = np.eye(4, dtype=np.float32)


def batches(count=6):
    """The same batch again and again, so that all differences are the draws'."""
    return tf.data.Dataset.from_tensors((X, Y)).repeat(count)


def stream(dataset):
    return [tuple(np.asarray(part) for part in tf.nest.flatten(element)) for element in dataset]


def is_same(first, second):
    return len(first) == len(second) and all(
        np.array_equal(ours, theirs)
        for pair in zip(first, second, strict=True)
        for ours, theirs in zip(*pair, strict=True)
    )


def fingerprints(elements):
    return {tuple(part.tobytes() for part in element) for element in elements}


def layer():
    return KMixupLayer(2, scope="sample")


@pytest.fixture(scope="module")
def expected():
    """Two epochs in one thread."""
    dataset = batches().apply(mix(layer(), seed=3, num_parallel_calls=None))
    return [stream(dataset) for _ in range(2)]


@pytest.mark.parametrize("deterministic", [True, False])
@pytest.mark.parametrize("calls", [1, 4, tf.data.AUTOTUNE])
@pytest.mark.representatives("calls, deterministic", [(1, True), (4, False), (tf.data.AUTOTUNE, True)])
def test_the_stream_is_the_same_whatever_runs_in_parallel_and_when_built_again(calls, deterministic, expected):
    options = tf.data.Options()
    options.deterministic = deterministic
    for _ in range(2):
        dataset = batches().apply(mix(layer(), seed=3, num_parallel_calls=calls)).with_options(options)
        for epoch in expected:
            assert is_same(stream(dataset), epoch)


def test_thousands_of_batches_in_two_epochs_all_differ_and_come_again_in_parallel():
    def ratios(calls):
        # Ones among zeros, mixed by turns: each row shows its ratio.
        one = tf.data.Dataset.from_tensors((np.eye(2, dtype=np.float32), np.zeros(2, np.float32))).repeat(1000)
        dataset = one.apply(mix(MixLayer(), seed=3, num_parallel_calls=calls))
        return [[float(x[0, 0]) for x, _ in dataset.as_numpy_iterator()] for _ in range(2)]

    drawn = ratios(4)
    # Of 2^23 possible ratios, 2000 draws show some twice: 0.24 pairs on average, more than 9 once in 10^13 seeds.
    assert len({*drawn[0], *drawn[1]}) >= 2000 - 9
    # Lost or reordered draws would show here.
    assert ratios(None) == drawn


def test_streams_repeat_where_tensorflow_is_told_to_be_deterministic(elsewhere):
    program = """
import hashlib, numpy as np, tensorflow as tf, keras
from kmix_tf import CutMixBlend, ExponentialWeight, KMixupLayer, mix
tf.config.experimental.enable_op_determinism()
keras.utils.set_random_seed(1)
x = np.random.default_rng(0).normal(size=(40, 4, 4, 1)).astype("float32")
layer = KMixupLayer(4, blend=CutMixBlend(), weight=ExponentialWeight(1.0), num_classes=3)
data = tf.data.Dataset.from_tensor_slices((x, np.arange(40) % 3)).shuffle(40).batch(10)
epoch = lambda data: b"".join(part.tobytes() for batch in data.as_numpy_iterator() for part in batch)
streams = [epoch(data.apply(mix(layer, seed=2))), epoch(data.apply(mix(layer))), epoch(data.map(layer))]
print([hashlib.sha256(stream).hexdigest() for stream in streams], len(set(streams)))
"""
    first, again = elsewhere(program), elsewhere(program)
    assert first == again
    assert first.strip().endswith(" 3")


class SlowAtFirst(RandomPairing):
    """Takes its time for the batch of zeros, so that others overtake it wherever they may."""

    def __call__(self, features, seed):
        return super().__call__([tf.numpy_function(self.wait, [features[0]], tf.float32)], seed)

    @staticmethod
    def wait(x):
        if not x.any():
            time.sleep(0.5)
        return x


def test_batches_keep_their_order_even_where_the_dataset_does_not_ask_for_it():
    options = tf.data.Options()
    options.deterministic = False
    numbers = np.repeat(np.arange(6, dtype=np.float32), 4)
    dataset = tf.data.Dataset.from_tensor_slices((numbers, numbers)).batch(4)
    mixed = dataset.apply(mix(MixLayer(SlowAtFirst()), seed=3, num_parallel_calls=6)).with_options(options)
    assert [float(x[0]) for x, _ in mixed] == pytest.approx(range(6))


def test_every_batch_of_every_epoch_has_draws_of_its_own(expected):
    assert len(fingerprints(expected[0] + expected[1])) == 12


def test_every_batch_has_partners_and_ratios_of_its_own():
    # One ratio in a batch and targets that are one-hot: each row shows its ratio and its partner.
    dataset = batches(8).apply(mix(MixLayer(), seed=1))
    shown = [y for epoch in range(2) for _, y in stream(dataset)]
    ratios = {float(y[0, 0]) for y in shown}
    partners = {tuple((y * (1 - np.eye(4))).argmax(axis=1)) for y in shown}
    assert len(ratios) == 16
    # Four rows have six circles; 16 draws show fewer than three with a chance of 15 / 3^16.
    assert len(partners) >= 3


def test_another_seed_gives_another_stream(expected):
    other = stream(batches().apply(mix(layer(), seed=4)))
    assert not fingerprints(other) & fingerprints(expected[0])


def test_the_layers_seed_is_the_default(expected):
    assert is_same(stream(batches().apply(mix(KMixupLayer(2, scope="sample", seed=3)))), expected[0])
    explicit = mix(KMixupLayer(2, scope="sample", seed=9), seed=3)
    assert is_same(stream(batches().apply(explicit)), expected[0])


@pytest.mark.parametrize("calls", [None, 4])
def test_a_checkpoint_resumes_in_mid_epoch(calls, expected, tmp_path):
    def dataset():
        return batches().apply(mix(layer(), seed=3, num_parallel_calls=calls))

    iterator = iter(dataset())
    taken = [next(iterator) for _ in range(2)]
    path = tf.train.Checkpoint(iterator=iterator).save(str(tmp_path / "iterator"))
    next(iterator)  # going on after the checkpoint must not matter
    resumed = iter(dataset())
    tf.train.Checkpoint(iterator=resumed).restore(path)
    assert is_same(stream(taken) + stream(resumed), expected[0])


def test_shuffled_data_resume_together_with_their_draws(tmp_path):
    def dataset():
        rows = tf.data.Dataset.from_tensor_slices((RNG_ROWS, RNG_ROWS[:, 0]))
        return rows.shuffle(24, seed=1).batch(6).apply(mix(layer(), seed=3))

    whole = stream(dataset())
    iterator = iter(dataset())
    for _ in range(2):
        next(iterator)
    path = tf.train.Checkpoint(iterator=iterator).save(str(tmp_path / "iterator"))
    resumed = iter(dataset())
    tf.train.Checkpoint(iterator=resumed).restore(path)
    assert is_same(stream(resumed), whole[2:])


RNG_ROWS = RNG.normal(size=(24, 3)).astype(np.float32)


@pytest.mark.parametrize("unseeded", [lambda: mix(MixLayer()), lambda: lambda data: data.map(MixLayer())])
def test_kerass_seed_makes_streams_without_a_seed_repeatable(unseeded):
    streams = []
    for seed in (7, 7, 8):
        keras.utils.set_random_seed(seed)
        streams.append(stream(batches(3).apply(unseeded())))
    assert is_same(streams[0], streams[1])
    assert not fingerprints(streams[0]) & fingerprints(streams[2])


def test_tensorflows_seed_does_not_make_epochs_repeat():
    tf.random.set_seed(1)
    dataset = batches(3).apply(mix(MixLayer(), seed=2))
    assert len(fingerprints(stream(dataset) + stream(dataset))) == 6


def test_the_stream_is_the_layers_mixture():
    # Features are also targets: mixed alike, they stay equal, and convex combinations of the rows.
    dataset = tf.data.Dataset.from_tensor_slices((RNG_ROWS, RNG_ROWS)).batch(8).apply(mix(layer(), seed=1))
    mixed = stream(dataset)
    assert [len(x) for x, _ in mixed] == [8, 8, 8]
    for number, (x, y) in enumerate(mixed):
        np.testing.assert_allclose(x, y, rtol=1e-6)
        plain = RNG_ROWS[8 * number : 8 * number + 8]
        assert not np.allclose(x, plain)
        assert (x >= plain.min(axis=0) - 1e-6).all()
        assert (x <= plain.max(axis=0) + 1e-6).all()


def test_weights_and_nested_parts_go_through():
    element = ({"a": X, "b": X.astype(np.float64)}, (Y, X), np.ones(4, np.float32))
    dataset = tf.data.Dataset.from_tensors(element)
    mixed = dataset.apply(mix(layer(), seed=1))
    assert mixed.element_spec == dataset.element_spec
    features, _, weight = next(iter(mixed))
    np.testing.assert_allclose(features["a"], features["b"], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(weight, np.ones(4), rtol=1e-6)


def test_features_alone_and_dictionaries_of_them_go_through():
    alone = MixLayer(features_only=True)
    assert next(iter(tf.data.Dataset.from_tensors(X).apply(mix(alone)))).shape == (4, 3)
    assert set(next(iter(tf.data.Dataset.from_tensors({"a": X}).apply(mix(alone))))) == {"a"}


@pytest.mark.parametrize(
    "dataset",
    [batches(6), batches(None), batches(6).filter(lambda x, y: True), batches(0)],
    ids=["finite", "infinite", "unknown", "empty"],
)
def test_the_number_of_batches_stays_known(dataset):
    mixed = dataset.apply(mix(MixLayer(), seed=1))
    assert mixed.cardinality().numpy() == dataset.cardinality().numpy()


def test_two_loaders_are_mixed_with_each_other(expected):
    other = tf.data.Dataset.from_tensors((X + 100, Y)).repeat(6)

    def dataset(calls):
        zipped = tf.data.Dataset.zip((batches(), other))
        return zipped.apply(mix(layer(), seed=3, num_parallel_calls=calls, between=True))

    mixed = dataset(4)
    first = stream(mixed)
    assert is_same(first, stream(dataset(None)))
    # The share of the second loader shows in its offset.
    shares = [(x - X.min()) / 100 for x, _ in first]
    assert all((share > -0.1).all() and (share < 1.1).all() for share in shares)
    assert len(fingerprints(first + stream(mixed))) == 12


def test_two_loaders_are_mixed_as_the_layer_mixes_them():
    # alpha = 0 leaves all to the first loader.
    zipped = tf.data.Dataset.zip((batches(1), tf.data.Dataset.from_tensors((X + 100, Y))))
    x, y = next(iter(zipped.apply(mix(KMixupLayer(2, 0), seed=3, between=True))))
    assert (x.numpy() == X).all()
    assert (y.numpy() == Y).all()


@pytest.mark.parametrize("value", [None, "layer", keras.layers.Layer(), MixLayer, lambda x, y: (x, y)])
def test_only_mixing_layers_are_taken(value):
    with pytest.raises(TypeError, match=r"mix: layer must be a MixLayer such as KMixupLayer.16.. Received: layer="):
        mix(value)


@pytest.mark.parametrize("seed", [-1, 1.5, True, "1", (1, 2)])
def test_other_seeds_are_refused(seed):
    with pytest.raises(ValueError, match=r"mix: seed must be an integer >= 0. Received: seed="):
        mix(MixLayer(), seed=seed)


@pytest.mark.parametrize("between", [1, None, "yes"])
def test_between_is_true_or_false(between):
    with pytest.raises(ValueError, match=r"mix: between must be True or False. Received: between="):
        mix(MixLayer(), between=between)


def test_elements_with_too_many_parts_are_refused():
    dataset = tf.data.Dataset.from_tensors((X, Y, X, Y))
    with pytest.raises(ValueError, match=r"mix: elements must be \(x, y\) or \(x, y, sample_weight\). Received: "):
        dataset.apply(mix(MixLayer()))


@pytest.mark.parametrize("element", [X, (X, Y, Y)], ids=["one", "three"])
def test_between_needs_pairs(element):
    dataset = tf.data.Dataset.from_tensors(element)
    with pytest.raises(
        ValueError, match=r"mix: between=True needs elements \(first, second\), two batches. Received"
    ):
        dataset.apply(mix(MixLayer(), between=True))


def test_what_the_layer_refuses_is_refused_when_the_stage_is_applied():
    with pytest.raises(ValueError, match="MixLayer: integer labels need num_classes"):
        tf.data.Dataset.from_tensors((X, [0, 1, 2, 3])).apply(mix(MixLayer()))
    with pytest.raises(ValueError, match="MixLayer: targets must come with the features"):
        tf.data.Dataset.from_tensors(X).apply(mix(MixLayer()))


def test_values_that_are_not_finite_stop_the_stream_at_their_batch():
    bad = X.copy()
    bad[1, 2] = np.nan
    dataset = batches(2).concatenate(tf.data.Dataset.from_tensors((bad, Y))).apply(mix(MixLayer(), seed=1))
    iterator = iter(dataset)
    next(iterator), next(iterator)
    with pytest.raises(tf.errors.InvalidArgumentError, match="MixLayer: features must be finite"):
        next(iterator)
