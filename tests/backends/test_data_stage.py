"""Layers on each back end of Keras: by hand they give its arrays, in a map tensors, and always the same mixture."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kmix_tf import CutMixLayer, KMixupLayer, LocalMixupLayer, MixLayer, MultiMixLayer, mix

RNG = np.random.default_rng(0)
X = RNG.normal(size=(13, 4, 6, 1)).astype(np.float32)
Y = RNG.integers(0, 3, 13)
IS_JAX = keras.backend.backend() == "jax"


def numbers(part):
    return np.asarray(keras.ops.convert_to_numpy(part))


def assert_same(first, second, **tolerance):
    first, second = (tf.nest.flatten(each) for each in (first, second))
    for ours, theirs in zip(first, second, strict=True):
        np.testing.assert_allclose(numbers(ours), numbers(theirs), **{"rtol": 0, "atol": 0, **tolerance})


def test_whatever_arrays_come_arrays_of_the_back_end_go(as_kind):
    layer = KMixupLayer(4, num_classes=3)
    mixed = layer(as_kind(X), as_kind(Y), seed=3)
    # Keras' own layers are the measure: this is what theirs give of the same.
    assert [type(part) for part in mixed] == [type(keras.layers.RandomFlip()(X))] * 2
    assert [part.shape for part in mixed] == [(13, 4, 6, 1), (13, 3)]
    assert_same(mixed, layer(X, Y, seed=3))
    assert_same(layer(as_kind(X), as_kind(Y), training=False), (X, np.eye(3)[Y]))


@pytest.mark.parametrize("scope", ["batch", "sample"])
def test_mixtures_are_what_numpy_makes_of_the_plan(as_kind, scope):
    layer, soft = KMixupLayer(1, scope=scope), np.eye(3, dtype=np.float32)[Y]
    plan = layer.plan([as_kind(X)], 8)
    assert keras.ops.is_tensor(plan.ratio)
    partner, ratio = numbers(plan.partner), numbers(plan.ratio)
    assert (
        sorted(partner) == list(range(13)) and (partner != np.arange(13)).any() and ((ratio > 0) & (ratio < 1)).any()
    )
    x, y = layer(as_kind(X), as_kind(soft), seed=8)
    for ours, data in ((x, X), (y, soft)):
        share = ratio.reshape(-1, *[1] * (data.ndim - 1))
        np.testing.assert_allclose(numbers(ours), share * data + (1 - share) * data[partner], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("k, solver", [(1, "host"), (4, "host"), (4, "graph")])
def test_maps_are_of_tensors_and_as_by_hand(k, solver):
    layer = KMixupLayer(k, solver=solver, num_classes=3)
    batches = tf.data.Dataset.from_tensor_slices((X, Y)).batch(8)  # the last one is of 5
    mapped = list(batches.map(lambda x, y: layer(x, y, seed=3), num_parallel_calls=2))
    assert all(isinstance(part, tf.Tensor) for part in tf.nest.flatten(mapped))
    assert [len(x) for x, _ in mapped] == [8, 5]
    for mixed, (x, y) in zip(mapped, batches, strict=True):
        assert_same(mixed, layer(x, y, seed=3), rtol=1e-6, atol=1e-6)
    # As a user writes it, and sees whether anything was mixed, and mixed anew in the next epoch.
    first, second = (np.concatenate([x for x, _ in batches.map(layer)]) for _ in range(2))
    assert np.abs(first - X).max() > 0.01 < np.abs(first - second).max()


def test_a_seeded_stage_repeats_and_epochs_differ():
    batches = tf.data.Dataset.from_tensor_slices((X, Y)).batch(5)
    first, again = (batches.apply(mix(KMixupLayer(2, num_classes=3), seed=4)) for _ in range(2))
    epochs = [list(first), list(first)]
    assert_same(epochs, [list(again), list(again)])
    assert np.abs(epochs[0][0][0] - epochs[1][0][0]).max() > 0.01


def test_two_loaders(as_kind):
    layer, soft = KMixupLayer(2), np.eye(3, dtype=np.float32)[Y]
    sides = [tuple(as_kind(part[rows]) for part in (X, soft)) for rows in (slice(0, 6), slice(6, 12))]
    x, y = layer.between(*sides, seed=2)
    assert keras.ops.is_tensor(x) and keras.ops.is_tensor(y)
    # Each mixture is of one sample of each side: its classes are theirs, by the shares that its pixels show.
    for i in range(6):
        errors = []
        for j in range(6, 12):
            apart = (X[i] - X[j]).ravel().astype(np.float64)
            share = (numbers(x)[i] - X[j]).ravel() @ apart / (apart @ apart)
            both = share * X[i] + (1 - share) * X[j], share * soft[i] + (1 - share) * soft[j]
            errors.append(max(np.abs(both[0] - numbers(x)[i]).max(), np.abs(both[1] - numbers(y)[i]).max()))
        assert min(errors) < 1e-5
    zipped = tf.data.Dataset.zip(tuple(tf.data.Dataset.from_tensors((X[:6], soft[:6])) for _ in range(2)))
    assert isinstance(next(iter(zipped.map(layer.between)))[0], tf.Tensor)


def test_data_to_validate_on_are_converted_alike(as_kind):
    stage = KMixupLayer(2, num_classes=3).for_evaluation()
    assert_same(stage(as_kind(X), as_kind(Y)), (X, np.eye(3)[Y]))
    (x, y), *_ = tf.data.Dataset.from_tensor_slices((X, Y)).batch(13).map(stage)
    assert isinstance(x, tf.Tensor)
    assert_same((x, y), (X, np.eye(3)[Y]))


def test_structures_weights_and_what_rides_along():
    x = {"image": X, "name": np.array(list("abcdefghijklm")), "meta": (np.arange(13), RNG.normal(size=(13, 2)))}
    y, weight = {"a": Y, "b": X[:, 0, 0, 0]}, RNG.uniform(size=13).astype(np.float32)
    layer = KMixupLayer(1, num_classes={"a": 3, "b": None}, passthrough=["name", "meta/0"])
    mixed = layer(x, y, {"a": weight, "b": weight}, seed=1)
    batch, *_ = tf.data.Dataset.from_tensors((x, y, {"a": weight, "b": weight})).map(
        lambda *parts: layer(*parts, seed=1)
    )
    tf.nest.assert_same_structure(mixed, batch)
    # Of strings, JAX and torch have no arrays.
    assert mixed[0]["name"].numpy().tolist() == [b"%c" % letter for letter in b"abcdefghijklm"]
    assert numbers(mixed[0]["meta"][0]).tolist() == list(range(13))
    for parts in (mixed, batch):
        del parts[0]["name"]
    assert all(keras.ops.is_tensor(leaf) for leaf in tf.nest.flatten(mixed))
    assert_same(mixed, batch, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64", "uint8"])
def test_dtypes_are_those_of_tensorflow_where_the_back_end_has_them(dtype):
    x = tf.cast(X * 9, dtype)
    held = {"uint8": "float32", "float64": "float32" if IS_JAX else "float64"}.get(dtype, dtype)
    for given in (x, keras.ops.convert_to_tensor(x.numpy())):
        mixed, y = KMixupLayer(2, num_classes=3, dtype="mixed_float16")(given, Y, seed=1)
        assert [keras.backend.standardize_dtype(part.dtype) for part in (mixed, y)] == [held, "float32"]
        expected = KMixupLayer(2, num_classes=3)(tf.cast(x, "float64"), Y, seed=1)[0]
        error = {"float16": 2e-2, "bfloat16": 0.2}.get(dtype, 1e-4)
        np.testing.assert_allclose(numbers(mixed).astype(np.float64), numbers(expected), atol=error)


@pytest.mark.parametrize("match_alpha", [False, True])
def test_adapt_learns_from_arrays_of_any_library(as_kind, match_alpha):
    table = (RNG.normal(size=(64, 3)) * [1, 10, 100]).astype(np.float32)
    layer = KMixupLayer(8, alpha=0.5)
    layer.adapt(as_kind(table), batch_size=32, match_alpha=match_alpha, precision=0.3)
    np.testing.assert_allclose(layer.adapted["scales"], [1 / table.astype(np.float64).std(axis=0)], rtol=1e-6)
    if match_alpha:
        of_numpy = KMixupLayer(8, alpha=0.5)
        of_numpy.adapt(table, batch_size=32, match_alpha=True, precision=0.3)
        assert layer.matched_alpha == of_numpy.matched_alpha > 0.5
    # Once adapted, pairs are those of a table whose columns are alike.
    scaled = np.float32(table * layer.adapted["scales"][0])
    layer.adapt(scaled, scale=False)
    partner = numbers(layer.plan([scaled], 5).partner)
    x, _ = layer(as_kind(table), as_kind(table[:, 0]), seed=5)
    errors = [
        np.linalg.norm(np.cross(a - b, c - b)) for a, b, c in zip(numbers(x), table, table[partner], strict=True)
    ]
    assert np.max(errors) < 1e-2 * np.abs(table).max()


MIXES = {
    "k-mixup": lambda: KMixupLayer(8),
    "local": lambda: LocalMixupLayer(k=2),
    "multi-mix": lambda: MultiMixLayer(2),
    "cutmix": lambda: CutMixLayer(axes=1),
}


@pytest.mark.parametrize("name", MIXES)
@pytest.mark.representatives("name", ["k-mixup"])
def test_fit_learns_from_a_mixed_dataset(name):
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(1)
    y = rng.integers(0, 3, 150)
    x = (rng.normal(size=(150, 4, 1)) + 3 * np.eye(3, 4)[y][:, :, None]).astype(np.float32)
    data = tf.data.Dataset.from_tensor_slices((x, np.eye(3, dtype=np.float32)[y])).shuffle(150, seed=0).batch(32)
    model = keras.Sequential([keras.layers.Input((4, 1)), keras.layers.Flatten(), keras.layers.Dense(3)])
    model.compile("adam", keras.losses.CategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    model.optimizer.learning_rate = 0.1
    before = model.evaluate(x, np.eye(3)[y], verbose=0)
    history = model.fit(data.apply(mix(MIXES[name](), seed=0)), epochs=6, shuffle=False, verbose=0).history["loss"]
    after = model.evaluate(data.map(MIXES[name]().for_evaluation()), verbose=0)
    # Of three clusters three deviations apart, a straight line tells nearly all.
    assert after[1] > 0.9 and after[0] < 0.7 * before[0] and history[-1] < history[0]


def test_a_fit_of_two_inputs_and_outputs_with_weights():
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(2, 70, 3)).astype(np.float32)
    x, y = {"a": a, "b": b}, {"sum": a.sum(1) + b.sum(1), "sign": (a[:, 0] > 0).astype(np.float32)[:, None]}
    weight = {"sum": np.ones(70, np.float32), "sign": rng.uniform(0.5, 1, 70).astype(np.float32)}
    ins = {name: keras.Input((3,), name=name) for name in "ab"}
    hidden = keras.layers.Concatenate()([ins["a"], ins["b"]])
    outs = {name: keras.layers.Dense(1, name=name)(hidden) for name in ("sum", "sign")}
    model = keras.Model(ins, outs)
    loss = {"sum": "mse", "sign": keras.losses.BinaryCrossentropy(from_logits=True)}
    model.compile(keras.optimizers.Adam(0.05), loss)
    y["sum"] = y["sum"][:, None]
    data = tf.data.Dataset.from_tensor_slices((x, y, weight)).batch(32)
    losses = model.fit(data.apply(mix(MixLayer(), seed=0)), epochs=8, shuffle=False, verbose=0).history["loss"]
    assert losses[-1] < 0.5 * losses[0]
