"""LocalMixupLoss mixes and weighs the losses of both targets, and takes plain targets for what they are."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from kmix_tf import (
    ExponentialWeight,
    KMixupLayer,
    LocalMixupLayer,
    LocalMixupLoss,
    MixAccuracy,
    ThresholdWeight,
    mix,
    pack_targets,
)

RNG = np.random.default_rng(6)
X = RNG.normal(size=(8, 3)).astype(np.float32)
LABELS = RNG.integers(0, 4, 8).astype(np.int32)
ONE_HOT = np.eye(4, dtype=np.float32)[LABELS]
LOGITS = RNG.normal(size=(8, 4)).astype(np.float32)
LINEAR = {
    "sparse": lambda: keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    "one-hot": lambda: keras.losses.CategoricalCrossentropy(from_logits=True),
}


@keras.saving.register_keras_serializable(package="kmix_tf_tests")
def focal(y_true, y_pred):
    """Cross-entropy that counts confident predictions less; squared in the target, thus not linear."""
    return tf.reduce_sum(tf.square(y_true) * tf.square(1 - y_pred) * -tf.math.log(y_pred), axis=-1)


def cross_entropy(logits, labels):
    logits = logits.astype(np.float64)
    picked = np.take_along_axis(logits, labels[..., np.newaxis], axis=-1)[..., 0]
    return np.log(np.exp(logits).sum(axis=-1)) - picked


def by_plan(layer, seed, loss):
    """The sum of weighted losses over the sum of weights, each a ratio of the losses of the two targets."""
    plan = layer.plan([X], seed)
    partner, ratio = plan.partner.numpy(), plan.ratio.numpy().astype(np.float64)
    raw = np.exp(-0.7 * np.sqrt(np.square(X - X[partner]).astype(np.float64).sum(axis=1)))
    own, others = loss(np.arange(8)), loss(partner)
    while ratio.ndim < own.ndim:
        ratio, raw = ratio[..., np.newaxis], raw[..., np.newaxis]
    raw = np.broadcast_to(raw, own.shape)
    return (raw * (ratio * own + (1 - ratio) * others)).sum() / raw.sum()


def local(**options):
    return LocalMixupLayer(0.8, ExponentialWeight(0.7), scope="sample", **options)


@pytest.mark.parametrize("kind", LINEAR)
@pytest.mark.parametrize("seed", range(3))
def test_for_cross_entropy_it_is_the_stock_loss_of_mixed_targets_with_weights(kind, seed):
    y = LABELS if kind == "sparse" else ONE_HOT
    packing = local(targets="packed")
    _, packed = packing(X, y, seed=seed)
    ours = LocalMixupLoss(LINEAR[kind]())(packed, LOGITS)
    _, mixed, weight = local()(X, ONE_HOT, seed=seed)
    stock = keras.losses.CategoricalCrossentropy(from_logits=True)(mixed, LOGITS, weight)
    np.testing.assert_allclose(ours, stock, rtol=1e-5)
    expected = by_plan(packing, seed, lambda rows: cross_entropy(LOGITS, LABELS[rows]))
    np.testing.assert_allclose(ours, expected, rtol=1e-5)


@pytest.mark.parametrize("name", ["mse", "focal"])
def test_losses_that_are_not_linear_are_mixed_and_not_their_targets(name):
    shares = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)
    layer = local(targets="packed")
    _, packed = layer(X, ONE_HOT, seed=1)

    def by_numpy(y):
        p = shares.astype(np.float64)
        return np.square(y - p).mean(axis=1) if name == "mse" else -(y**2 * (1 - p) ** 2 * np.log(p)).sum(axis=1)

    ours = LocalMixupLoss("mse" if name == "mse" else focal)(packed, shares)
    np.testing.assert_allclose(ours, by_plan(layer, 1, lambda rows: by_numpy(ONE_HOT[rows])), rtol=1e-5)
    _, mixed, weight = local()(X, ONE_HOT, seed=1)
    of_mixed_target = (weight.numpy() * by_numpy(mixed.numpy())).mean()
    assert ours.numpy() > of_mixed_target * 1.01


@given(st.integers(1, 6), st.integers(1, 8), st.booleans(), st.integers(0, 99))
def test_each_samples_loss_is_weighted_by_itself(plain_functions, size, classes, sparse, seed):
    rng = np.random.default_rng(seed)
    y_a, y_b = rng.integers(0, classes, (2, size))
    ratio, weight = rng.uniform(size=(2, size)).astype(np.float32)
    logits = rng.normal(size=(size, classes)).astype(np.float32)
    encode = (lambda y: y) if sparse else (lambda y: np.eye(classes, dtype=np.float32)[y])
    loss = LocalMixupLoss(LINEAR["sparse" if sparse else "one-hot"](), reduction="sum")
    ours = loss.call(pack_targets(encode(y_a), encode(y_b), ratio, weight), logits)
    expected = weight * (ratio * cross_entropy(logits, y_a) + (1 - ratio) * cross_entropy(logits, y_b))
    np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        loss(pack_targets(encode(y_a), encode(y_b), ratio, weight), logits), expected.sum(), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("kind", LINEAR)
@pytest.mark.parametrize("classes", [2, 4, 10])
def test_plain_targets_give_the_plain_loss(kind, classes):
    labels = RNG.integers(0, classes, 8)
    y = labels if kind == "sparse" else np.eye(classes, dtype=np.float32)[labels]
    logits = RNG.normal(size=(8, classes)).astype(np.float32)
    plain = LINEAR[kind]()(y, logits)
    np.testing.assert_allclose(LocalMixupLoss(LINEAR[kind]())(y, logits), plain, rtol=1e-6)
    if kind == "sparse":
        np.testing.assert_allclose(LocalMixupLoss(LINEAR[kind]())(y[:, np.newaxis], logits), plain, rtol=1e-6)


def test_packed_classes_and_one_hot_targets_of_four_classes_are_told_apart():
    # A class, its partner's, ratio and weight are four numbers, as is a one-hot target of four classes.
    one_hot = np.float32([[1, 0, 0, 0], [0, 0, 0, 1]])
    expected = cross_entropy(LOGITS[:2], np.array([0, 3])).mean()
    np.testing.assert_allclose(LocalMixupLoss(LINEAR["one-hot"]())(one_hot, LOGITS[:2]), expected, rtol=1e-5)
    packed = pack_targets([0, 3], [0, 3], [0.5, 0.5], 1.0)
    np.testing.assert_allclose(LocalMixupLoss(LINEAR["sparse"]())(packed, LOGITS[:2]), expected, rtol=1e-5)


@pytest.mark.parametrize("columns", [None, 1, 2, 3])
def test_regression_targets_are_taken_with_and_without_their_axis(columns):
    y = RNG.normal(size=8 if columns is None else (8, columns)).astype(np.float32)
    layer = local(targets="packed")
    _, packed = layer(X, y, seed=2)
    y = y.reshape(8, -1)
    predictions = RNG.normal(size=y.shape).astype(np.float32)
    expected = by_plan(layer, 2, lambda rows: np.square(y[rows] - predictions).mean(axis=1))
    np.testing.assert_allclose(LocalMixupLoss("mse")(packed, predictions), expected, rtol=1e-5)
    np.testing.assert_allclose(LocalMixupLoss("mse")(y, predictions), np.square(y - predictions).mean(), rtol=1e-5)


def test_classes_that_came_with_an_axis_of_length_one_are_taken_too():
    # As keras.datasets.cifar10 has them.
    _, packed = local(targets="packed")(X, LABELS[:, np.newaxis], seed=4)
    _, flat = local(targets="packed")(X, LABELS, seed=4)
    loss = LocalMixupLoss(LINEAR["sparse"]())
    np.testing.assert_allclose(loss(packed, LOGITS), loss(flat, LOGITS), rtol=1e-6)


@pytest.mark.parametrize("kind", LINEAR)
def test_every_pixel_of_a_map_is_weighted_and_mixed_as_its_sample(kind):
    labels = RNG.integers(0, 3, (8, 5, 4))
    logits = RNG.normal(size=(8, 5, 4, 3)).astype(np.float32)
    y = labels if kind == "sparse" else np.eye(3, dtype=np.float32)[labels]
    layer = local(targets="packed")
    _, packed = layer(X, y, seed=3)
    expected = by_plan(layer, 3, lambda rows: cross_entropy(logits, labels[rows]))
    np.testing.assert_allclose(LocalMixupLoss(LINEAR[kind]())(packed, logits), expected, rtol=1e-5)
    plain = cross_entropy(logits, labels).mean()
    np.testing.assert_allclose(LocalMixupLoss(LINEAR[kind]())(y, logits), plain, rtol=1e-5)


def minus_log(y_true, y_pred):
    return -tf.math.log(tf.reduce_sum(y_true * y_pred, axis=-1))


INFINITE = pack_targets([[1.0, 0.0], [1.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]], [0.5, 0.5], [0.0, 2.0])


def test_a_weight_of_zero_silences_an_infinite_loss():
    loss = LocalMixupLoss(minus_log)(INFINITE, [[0.0, 1.0], [0.25, 0.75]])
    np.testing.assert_allclose(loss, -(np.log(0.25) + np.log(0.75)) / 2, rtol=1e-6)


def test_a_weight_of_zero_silences_the_gradient_of_an_infinite_loss():
    shares = tf.Variable([[0.0, 1.0], [0.25, 0.75]])
    with tf.GradientTape() as tape:
        loss = LocalMixupLoss(minus_log)(INFINITE, shares)
    np.testing.assert_allclose(tape.gradient(loss, shares), [[0, 0], [-0.5 / 0.25, -0.5 / 0.75]], rtol=1e-6)


@pytest.mark.parametrize("kind", LINEAR)
def test_where_no_pair_counts_loss_and_gradient_are_exactly_zero(kind):
    layer = LocalMixupLayer(weight=ThresholdWeight(0.0, far="drop"), k=4, targets="packed")
    _, packed = layer(X, LABELS if kind == "sparse" else ONE_HOT, seed=0)
    logits = tf.Variable(LOGITS * 1e30)
    with tf.GradientTape() as tape:
        loss = LocalMixupLoss(LINEAR[kind]())(packed, logits)
    assert loss.numpy() == 0
    np.testing.assert_array_equal(tape.gradient(loss, logits), np.zeros((8, 4)))


def test_the_users_sample_weights_multiply_the_loss_of_each_sample():
    own = np.arange(1, 9, dtype=np.float32)
    packed = pack_targets(LABELS, LABELS, 0.5, 1.0)
    ours = LocalMixupLoss(LINEAR["sparse"]())(packed, LOGITS, own)
    np.testing.assert_allclose(ours, (own * cross_entropy(LOGITS, LABELS)).mean(), rtol=1e-5)


def test_gradients_are_those_of_the_formula():
    layer = local(targets="packed")
    _, packed = layer(X, LABELS, seed=5)
    logits = tf.Variable(LOGITS)
    with tf.GradientTape() as tape:
        loss = LocalMixupLoss(LINEAR["sparse"]())(packed, logits)
    plan = layer.plan([X], 5)
    partner, ratio = plan.partner.numpy(), plan.ratio.numpy()[:, np.newaxis]
    raw = np.exp(-0.7 * np.linalg.norm(X - X[partner], axis=1))[:, np.newaxis]
    shares = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)
    y = ratio * ONE_HOT + (1 - ratio) * ONE_HOT[partner]
    np.testing.assert_allclose(tape.gradient(loss, logits), raw * (shares - y) / raw.sum(), rtol=1e-4, atol=1e-6)


def test_under_xla_the_loss_is_the_same():
    loss = LocalMixupLoss(LINEAR["sparse"]())
    _, packed = local(targets="packed")(X, LABELS, seed=5)
    compiled = tf.function(loss, jit_compile=True)
    np.testing.assert_allclose(compiled(packed, LOGITS), loss(packed, LOGITS), rtol=1e-5)


@pytest.mark.parametrize("loss", [None, 3, ["mse"]], ids=repr)
def test_what_is_no_loss_is_refused_by_name(loss):
    with pytest.raises(TypeError, match=r"LocalMixupLoss: loss must be a Keras loss, its name or a function"):
        LocalMixupLoss(loss)


def test_an_unknown_name_is_refused():
    with pytest.raises(ValueError, match="no_such_loss"):
        LocalMixupLoss("no_such_loss")


@pytest.mark.parametrize("shape", [(8, 5), (8, 3, 4), (8, 1, 5), (8, 11)], ids=str)
def test_targets_that_fit_no_form_are_refused_with_both_shapes(shape):
    with pytest.raises(ValueError, match=r"LocalMixupLoss: targets must be plain, or packed.*\(8, 4\)"):
        LocalMixupLoss(LINEAR["sparse"]())(np.zeros(shape, np.float32), LOGITS)


@pytest.mark.parametrize(
    "make",
    [
        lambda: LocalMixupLoss(),
        lambda: LocalMixupLoss("mse", name="other", reduction="sum"),
        lambda: LocalMixupLoss(focal),
        lambda: LocalMixupLoss(keras.losses.mean_absolute_error),
        lambda: LocalMixupLoss(keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)),
    ],
    ids=["default", "name", "own function", "function of Keras", "Keras loss"],
)
def test_a_configuration_makes_the_same_loss_anew(make):
    loss = make()
    back = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    assert type(back) is LocalMixupLoss
    assert back.name == loss.name
    packed = pack_targets(ONE_HOT, ONE_HOT[::-1], 0.3, np.arange(8.0))
    shares = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)
    assert back(packed, shares).numpy() == loss(packed, shares).numpy()


def classifier(**dtype):
    model = keras.Sequential([keras.Input([3]), keras.layers.Dense(4, **dtype)])
    model.set_weights([RNG.normal(size=(3, 4)), np.zeros(4)])
    return model


def pipeline(y, layer):
    return tf.data.Dataset.from_tensor_slices((X, y)).batch(4).apply(mix(layer, seed=0))


@pytest.mark.parametrize("kind", LINEAR)
@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.representatives("kind, jit_compile", [("sparse", True), ("one-hot", False)])
def test_models_train_on_packed_targets_and_are_validated_on_plain_ones(kind, jit_compile):
    y = LABELS if kind == "sparse" else ONE_HOT
    model = classifier()
    loss = LocalMixupLoss(LINEAR[kind]())
    model.compile(keras.optimizers.SGD(0.0), loss, metrics=[MixAccuracy()], jit_compile=jit_compile)
    train = pipeline(y, KMixupLayer(2, targets="packed", solver="graph")).cache()
    past = model.fit(train, validation_data=(X, y), validation_batch_size=4, verbose=0).history
    logits = model.predict(X, verbose=0)
    np.testing.assert_allclose(past["val_loss"], [cross_entropy(logits, LABELS).mean()], rtol=1e-5)
    np.testing.assert_allclose(past["val_mix_accuracy"], [(logits.argmax(axis=1) == LABELS).mean()], rtol=1e-6)
    losses, hits = [], []
    for x, packed in train.as_numpy_iterator():
        logits = model.predict(x, verbose=0)
        packed = packed.reshape(4, -1)
        ratio = packed[:, -2]
        y_a, y_b = (
            packed[:, side * 4 : side * 4 + 4].argmax(axis=1) if kind == "one-hot" else packed[:, side].astype(int)
            for side in (0, 1)
        )
        losses.append(ratio * cross_entropy(logits, y_a) + (1 - ratio) * cross_entropy(logits, y_b))
        hit = logits.argmax(axis=1)
        hits.append(ratio * (hit == y_a) + (1 - ratio) * (hit == y_b))
    np.testing.assert_allclose(past["loss"], [np.mean(losses)], rtol=1e-4)
    np.testing.assert_allclose(past["mix_accuracy"], [np.mean(hits)], rtol=1e-5)


def test_models_learn_from_packed_targets():
    model = classifier()
    model.compile(keras.optimizers.SGD(0.5), LocalMixupLoss(LINEAR["sparse"]()), jit_compile=False)
    train = pipeline(LABELS, LocalMixupLayer(0.1, targets="packed"))
    losses = model.fit(train, epochs=5, verbose=0).history["loss"]
    assert np.isfinite(losses).all()
    assert losses[-1] < losses[0]


def test_one_hot_targets_in_float64_train_as_well():
    # np.eye gives float64, and layers keep it.
    model = classifier()
    model.compile("sgd", LocalMixupLoss(LINEAR["one-hot"]()), metrics=[MixAccuracy()], jit_compile=False)
    past = model.fit(pipeline(np.eye(4)[LABELS], local(targets="packed")), verbose=0).history
    assert np.isfinite(past["loss"][0])
    assert 0 <= past["mix_accuracy"][0] <= 1


@pytest.mark.parametrize("output", ["float32", "mixed_float16"])
def test_in_half_precision_losses_stay_close(output):
    model = keras.Sequential([keras.Input([3], dtype="float32")])
    model.add(keras.layers.Dense(4, dtype=output, kernel_initializer="ones"))
    model.compile(keras.optimizers.SGD(0.0), LocalMixupLoss(LINEAR["sparse"]()), jit_compile=False)
    layer = local(targets="packed", dtype="mixed_float16")
    x, packed = layer(X, LABELS, seed=1)
    assert x.dtype == packed.dtype == tf.float32
    # All logits of a sample are equal, so every loss is log 4 and the mean of the weights 1.
    loss = model.fit(x, packed, batch_size=8, verbose=0).history["loss"]
    np.testing.assert_allclose(loss, [np.log(4)], rtol=1e-6 if output == "float32" else 2e-3)


def test_many_classes_survive_half_precision():
    # float16 holds no odd number beyond 2048.
    classes = 5000
    logits = np.zeros((2, classes), np.float16)
    logits[0, 4097], logits[1, 2049] = 10, 10
    packed = pack_targets([4097, 2049], [4097, 2049], 1.0)
    ours = LocalMixupLoss(LINEAR["sparse"](), reduction="sum").call(packed, tf.constant(logits))
    np.testing.assert_allclose(ours, cross_entropy(logits, np.array([4097, 2049])), rtol=1e-2)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_fit_computes_the_right_loss_of_half_precision_outputs_or_none(dtype):
    # Keras 2 casts float targets, and so packed classes, to the dtype of the outputs: 4097 becomes 4096.
    inputs = keras.Input([5000], dtype="float32")
    model = keras.Model(inputs, keras.layers.Activation("linear", dtype=dtype)(inputs))
    model.compile("sgd", LocalMixupLoss(LINEAR["sparse"]()), jit_compile=False)
    logits = np.zeros((2, 5000), np.float32)
    logits[0, 4097], logits[1, 2049] = 10, 10
    try:
        ours = model.evaluate(logits, pack_targets([4097, 2049], [4097, 2049], 1.0), verbose=0)
    except ValueError as refusal:
        assert "LocalMixupLoss" in str(refusal)
    else:
        np.testing.assert_allclose(ours, cross_entropy(logits, np.array([4097, 2049])).mean(), rtol=2e-2)


LOAD = """
import sys
import keras
import numpy as np
import kmix_tf
model = keras.models.load_model(sys.argv[1])
data = np.load(sys.argv[2])
model.fit(data["x"], data["packed"], batch_size=8, verbose=0)
print(model.evaluate(data["x"], data["packed"], batch_size=8, verbose=0)[0])
"""


def test_a_compiled_model_is_saved_and_trained_further_in_another_process(tmp_path, elsewhere):
    model = classifier()
    loss = LocalMixupLoss(LINEAR["sparse"]())
    model.compile(keras.optimizers.SGD(0.1), loss, metrics=[MixAccuracy()], jit_compile=False)
    x, packed = local(targets="packed")(X, LABELS, seed=1)
    model.fit(x, packed, batch_size=8, verbose=0)
    model.save(tmp_path / "model.keras")
    np.savez(tmp_path / "data.npz", x=x, packed=packed)
    printed = elsewhere(LOAD, tmp_path / "model.keras", tmp_path / "data.npz")
    model.fit(x, packed, batch_size=8, verbose=0)
    here = model.evaluate(x, packed, batch_size=8, verbose=0)[0]
    np.testing.assert_allclose(float(printed.split()[-1]), here, rtol=1e-5)
