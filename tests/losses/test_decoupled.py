"""DecoupledMixupLoss asks for each class of a mixture without its other classes, and else is cross-entropy."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from kmix_tf import (
    CoMixupLayer,
    DecoupledMixupLoss,
    KMixupLayer,
    LocalMixupLayer,
    LocalMixupLoss,
    MixModel,
    mix,
    pack_targets,
)

RNG = np.random.default_rng(4)
LOGITS = RNG.normal(size=(6, 5)).astype(np.float32)
EYE = np.eye(5, dtype=np.float32)
A, B = np.array([0, 1, 2, 3, 4, 0]), np.array([1, 1, 0, 4, 2, 3])
RATIO = np.array([0.75, 0.5, 0.5, 1.0, 0.3, 0.9995], np.float32)
WEIGHT = np.array([1.0, 2.0, 0.5, 0.0, 3.0, 1.0], np.float32)
MIXED = RATIO[:, np.newaxis] * EYE[A] + (1 - RATIO[:, np.newaxis]) * EYE[B]


def minus_log_softmax(logits, at):
    logits = np.asarray(logits, np.float64)
    top = logits.max()
    return np.log(np.exp(logits - top).sum()) + top - logits[at]


def by_hand(y, logits, eta=0.1, power=1.0, threshold=1e-3):
    """The loss of one sample: a softmax of its own for each class, of which the mixture's others are taken out."""
    y = np.asarray(y, np.float64)
    loss = sum(share * minus_log_softmax(logits, c) for c, share in enumerate(y) if share)
    mixed = [c for c, share in enumerate(y) if share > threshold]
    if len(mixed) < 2:
        return loss
    for c in mixed:
        kept = [j for j in range(len(y)) if j == c or j not in mixed]
        loss += eta * y[c] ** power * minus_log_softmax([logits[j] for j in kept], kept.index(c))
    return loss


def expected(y, logits, **options):
    return [by_hand(*each, **options) for each in zip(y, logits, strict=True)]


def each(loss, y, logits):
    return loss.call(tf.convert_to_tensor(y), tf.convert_to_tensor(logits)).numpy()


@given(
    st.integers(1, 5), st.integers(2, 7), st.integers(1, 4), st.floats(0, 2), st.sampled_from([0.0, 0.5, 1.0]),
    st.sampled_from([1.0, 60.0]), st.integers(0, 999),
)  # fmt: skip
def test_each_sample_has_the_loss_that_softmaxes_without_the_other_classes_give(
    plain_functions, size, classes, parts, eta, power, spread, seed
):
    rng = np.random.default_rng(seed)
    shares = rng.dirichlet(np.ones(parts), size)
    y = np.zeros((size, classes))
    for row, of_parts in zip(y, shares, strict=True):
        np.add.at(row, rng.integers(0, classes, parts), of_parts)
    logits = spread * rng.normal(size=(size, classes))
    loss = DecoupledMixupLoss(eta, power, from_logits=True)
    wide = each(loss, y, logits)
    assert wide.dtype == np.float64
    np.testing.assert_allclose(wide, expected(y, logits, eta=eta, power=power), rtol=1e-9, atol=1e-12)
    narrow = each(loss, y.astype(np.float32), logits.astype(np.float32))
    np.testing.assert_allclose(narrow, wide, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("form", ["soft", "packed", "packed classes"])
def test_packed_targets_have_the_loss_of_the_mixed_label_times_their_weight(form):
    loss = DecoupledMixupLoss(0.4, from_logits=True)
    of_label = np.array(expected(MIXED, LOGITS, eta=0.4))
    y, weight = MIXED, 1.0
    if form != "soft":
        y, weight = pack_targets(*((EYE[A], EYE[B]) if form == "packed" else (A, B)), RATIO, WEIGHT), WEIGHT
    np.testing.assert_allclose(each(loss, y, LOGITS), weight * of_label, rtol=1e-5)


@pytest.mark.parametrize("form", ["one-hot", "classes", "column", "floats"])
def test_labels_of_one_class_have_the_plain_cross_entropy(form):
    y = {"one-hot": EYE[A], "classes": A, "column": A[:, np.newaxis], "floats": A.astype(np.float32)}[form]
    plain = [minus_log_softmax(*row) for row in zip(LOGITS, A, strict=True)]
    np.testing.assert_allclose(each(DecoupledMixupLoss(50.0, from_logits=True), y, LOGITS), plain, rtol=1e-5)


def test_of_two_classes_nothing_is_left_to_compare_with():
    y, logits = np.float32([[0.3, 0.7]]), np.float32([[-2.0, 3.0]])
    stock = keras.losses.CategoricalCrossentropy(from_logits=True)(y, logits)
    np.testing.assert_allclose(DecoupledMixupLoss(1e6, from_logits=True)(y, logits), stock, rtol=1e-6)


def test_a_class_of_a_share_up_to_the_threshold_is_not_in_the_mixture():
    smooth = (0.9 * MIXED + 0.02).astype(np.float32)
    for threshold in (1e-3, 0.02001, 0.5):
        ours = each(DecoupledMixupLoss(1.0, threshold=threshold, from_logits=True), smooth, LOGITS)
        np.testing.assert_allclose(ours, expected(smooth, LOGITS, eta=1.0, threshold=threshold), rtol=1e-5)
    # Of five classes that all have a share, none would remain.
    stock = keras.losses.CategoricalCrossentropy(from_logits=True, reduction="sum").call(smooth, LOGITS)
    np.testing.assert_allclose(each(DecoupledMixupLoss(9.0, from_logits=True), smooth, LOGITS), stock, rtol=1e-5)


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
def test_gradients_are_the_differences_of_the_loss(power):
    y, logits = MIXED.astype(np.float64), tf.Variable(LOGITS.astype(np.float64))
    loss = DecoupledMixupLoss(0.8, power, from_logits=True)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(loss.call(tf.constant(y), logits))
    slope, step = np.zeros(LOGITS.shape), 1e-5
    for at in np.ndindex(LOGITS.shape):
        up, down = LOGITS.astype(np.float64), LOGITS.astype(np.float64)
        up[at], down[at] = up[at] + step, down[at] - step
        differs = np.subtract(*[sum(expected(y, each, eta=0.8, power=power)) for each in (up, down)])
        slope[at] = differs / (2 * step)
    np.testing.assert_allclose(tape.gradient(total, logits), slope, rtol=1e-6, atol=1e-8)


EXTREME = {
    "wide": np.float32([[1e4, -1e4, 3e4, 0, -3e4]]),
    "impossible": np.float32([[1.0, 2.0, -np.inf, 0.5, -np.inf]]),
    "nothing else": np.float32([[1.0, 2.0, -np.inf, -np.inf, -np.inf]]),
}


@pytest.mark.parametrize("name", EXTREME)
@pytest.mark.parametrize("compiled", [False, True])
def test_extreme_logits_have_finite_losses_and_gradients(name, compiled):
    y, logits = tf.constant([[0.25, 0.75, 0, 0, 0]]), tf.Variable(EXTREME[name])

    @tf.function(jit_compile=compiled)
    def slope():
        with tf.GradientTape() as tape:
            loss = DecoupledMixupLoss(1.0, from_logits=True).call(y, logits)
        return loss, tape.gradient(loss, logits)

    loss, gradient = slope()
    np.testing.assert_allclose(loss, [by_hand(y[0], EXTREME[name][0], eta=1.0)], rtol=1e-5, atol=1e-6)
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_computed_in_float32(dtype):
    logits = tf.cast(LOGITS * 20, dtype)
    ours = DecoupledMixupLoss(0.5, from_logits=True).call(tf.constant(MIXED), logits)
    assert ours.dtype == tf.float32
    np.testing.assert_allclose(ours, expected(MIXED, tf.cast(logits, tf.float32).numpy(), eta=0.5), rtol=1e-5)


def test_probabilities_give_what_their_logits_give():
    shares = tf.nn.softmax(LOGITS)
    ours = each(DecoupledMixupLoss(0.5), MIXED, shares.numpy())
    np.testing.assert_allclose(ours, expected(MIXED, LOGITS, eta=0.5), rtol=1e-5)
    impossible = each(DecoupledMixupLoss(0.5), [[0.5, 0.5, 0.0]], np.float32([[0.0, 0.0, 1.0]]))
    np.testing.assert_allclose(impossible, [np.log(1e7) * 1.5], rtol=1e-3)


def test_places_of_maps_have_losses_of_their_own():
    y, logits = RNG.dirichlet(np.ones(3), (2, 4)).astype(np.float32), RNG.normal(size=(2, 4, 5)).astype(np.float32)
    y = np.concatenate([y, np.zeros((2, 4, 2), np.float32)], axis=-1)
    ours = each(DecoupledMixupLoss(0.5, from_logits=True), y, logits)
    flat = expected(y.reshape(8, 5), logits.reshape(8, 5), eta=0.5)
    np.testing.assert_allclose(ours, np.reshape(flat, (2, 4)), rtol=1e-5)


@pytest.mark.parametrize("bad", [-np.inf, np.inf, np.nan])
def test_a_weight_of_0_silences_a_loss_that_is_no_number_and_its_gradient(bad):
    logits = tf.Variable([[bad, 1.0, 0.0], [0.5, 1.0, 0.0]])
    packed = pack_targets([0, 0], [1, 1], 0.5, [0.0, 1.0])
    with tf.GradientTape() as tape:
        loss = DecoupledMixupLoss(from_logits=True)(packed, logits)
    np.testing.assert_allclose(loss, by_hand([0.5, 0.5, 0], [0.5, 1.0, 0.0]) / 2, rtol=1e-5)
    gradient = tape.gradient(loss, logits).numpy()
    np.testing.assert_array_equal(gradient[0], 0)
    assert np.isfinite(gradient[1]).all() and gradient[1].any()


def test_sample_weights_multiply_the_loss_of_each_sample():
    ours = DecoupledMixupLoss(from_logits=True)(MIXED, LOGITS, WEIGHT)
    np.testing.assert_allclose(ours, (WEIGHT * expected(MIXED, LOGITS)).mean(), rtol=1e-5)


def network(classes=5, activation=None, dtype=None):
    keras.utils.set_random_seed(0)
    dense = keras.layers.Dense(classes, activation=activation, dtype=dtype)
    return keras.Sequential([keras.Input((4,)), dense])


X = RNG.normal(size=(12, 4)).astype(np.float32)
LABELS = np.arange(12) % 5


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("targets", ["mixed", "packed"])
@pytest.mark.representatives("targets, jit_compile", [("mixed", True), ("packed", False)])
def test_a_model_trains_on_what_a_layer_mixes_and_is_validated_on_plain_labels(targets, jit_compile):
    options = {} if targets == "packed" else {"num_classes": 5}
    layer = LocalMixupLayer(0.8, scope="sample", targets=targets, **options)
    mixing = MixModel(network(), layer, seed=1)
    mixing.compile(keras.optimizers.SGD(0.0), DecoupledMixupLoss(0.5, from_logits=True), jit_compile=jit_compile)
    past = mixing.fit(X, LABELS, validation_data=(X, LABELS), batch_size=12, shuffle=False, verbose=0).history
    x, y, *weight = layer(X, LABELS, seed=MixModel(network(), layer, seed=1)._counter.next()[1])
    logits = mixing.predict(x, verbose=0)
    if targets == "packed":
        a, b, ratio, weight = np.asarray(y)[:, 0].T
        y = ratio[:, None] * EYE[a.astype(int)] + (1 - ratio[:, None]) * EYE[b.astype(int)]
    of_mixtures = np.reshape(weight, -1) * expected(np.asarray(y), logits, eta=0.5)
    np.testing.assert_allclose(past["loss"], [of_mixtures.mean()], rtol=1e-4)
    plain = expected(EYE[LABELS], mixing.predict(X, verbose=0))
    np.testing.assert_allclose(past["val_loss"], [np.mean(plain)], rtol=1e-4)


def test_mixtures_of_many_samples_have_a_term_for_each_of_their_classes():
    images = np.zeros((12, 16, 16, 1), np.float32)
    for row, image in enumerate(images):  # Each shows something in another corner.
        image[8 * (row % 2) : 8 * (row % 2) + 8, 8 * (row // 2 % 2) : 8 * (row // 2 % 2) + 8] = 1 + row / 12
    _, y = CoMixupLayer(12, num_classes=5)(images, LABELS, seed=3)
    assert (np.asarray(y) > 1e-3).sum(axis=1).max() > 2
    logits = RNG.normal(size=(12, 5)).astype(np.float32)
    ours = each(DecoupledMixupLoss(0.7, from_logits=True), y, logits)
    np.testing.assert_allclose(ours, expected(np.asarray(y), logits, eta=0.7), rtol=1e-4)


def test_models_learn_to_name_both_classes_of_a_mixture():
    model = network(dtype="float32")
    model.compile(keras.optimizers.Adam(0.05), DecoupledMixupLoss(1.0, from_logits=True), jit_compile=False)
    data = tf.data.Dataset.from_tensor_slices((X, LABELS)).batch(4).apply(mix(KMixupLayer(2, num_classes=5), seed=0))
    losses = model.fit(data, epochs=6, verbose=0).history["loss"]
    assert np.isfinite(losses).all() and losses[-1] < losses[0]


@pytest.mark.parametrize(
    "options",
    [{}, {"eta": 0.3, "power": 0.0, "threshold": 0.05, "from_logits": True, "name": "other", "reduction": "sum"}],
    ids=["default", "all others"],
)
def test_a_configuration_makes_the_same_loss_anew(options):
    loss = DecoupledMixupLoss(**options)
    back = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    assert type(back) is DecoupledMixupLoss
    assert back.get_config() == loss.get_config()
    assert {name: getattr(back, name) for name in options} == options
    shares = tf.nn.softmax(LOGITS)
    assert back(MIXED, shares).numpy() == loss(MIXED, shares).numpy()


LOAD = """
import sys
import keras
import numpy as np
import kmix_tf
data = np.load(sys.argv[2])
print(keras.models.load_model(sys.argv[1]).evaluate(data["x"], data["y"], verbose=0))
"""


def test_a_compiled_model_is_saved_with_it(tmp_path, elsewhere):
    model = network(activation="softmax")
    model.compile("sgd", DecoupledMixupLoss(0.5), jit_compile=False)
    x, y = X[:6], MIXED
    model.save(tmp_path / "model.keras")
    np.savez(tmp_path / "data.npz", x=x, y=y)
    printed = elsewhere(LOAD, tmp_path / "model.keras", tmp_path / "data.npz")
    np.testing.assert_allclose(float(printed.split()[-1]), model.evaluate(x, y, verbose=0), rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"eta": -0.1}, r"eta must be >= 0 and finite\. Received: eta=-0\.1"),
        ({"power": np.inf}, "power must be >= 0 and finite"),
        ({"threshold": 1}, r"threshold must be in \[0, 1\)\. Received: threshold=1"),
        ({"threshold": -1}, r"threshold must be in \[0, 1\]"),
        ({"from_logits": "yes"}, "from_logits must be"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_bad_arguments_are_refused_by_name(options, message):
    with pytest.raises((TypeError, ValueError), match=f"DecoupledMixupLoss: {message}"):
        DecoupledMixupLoss(**options)


@pytest.mark.parametrize(
    ("y", "y_pred", "message"),
    [
        (MIXED, LOGITS[:, :1], r"y_pred must be \(batch, ..., classes\), of 2 or more.*\(6, 1\)"),
        (A, A.astype("f4"), r"y_pred must be \(batch, ..., classes\).*\(6,\)"),
        (MIXED[:, :3], LOGITS, r"targets must be plain, or packed.*\(6, 3\).*\(6, 5\)"),
        (np.zeros((6, 2, 1, 4), "f4"), LOGITS[:, None], r"targets must have a class at each place.*\(6, 2\)"),
        (A + 1, LOGITS, r"targets must be soft labels, or classes in \[0, 5\)"),
        (A - 1, LOGITS, r"targets must be soft labels, or classes in \[0, 5\)"),
        (A + 0.5, LOGITS, r"targets must be soft labels, or classes in \[0, 5\)"),
        (pack_targets(A, B + 1, RATIO), LOGITS, r"targets must be soft labels, or classes in \[0, 5\)"),
    ],
    ids=["unit", "vector", "shape", "places", "beyond", "negative", "fraction", "packed"],
)
def test_targets_and_outputs_that_do_not_fit_are_refused(y, y_pred, message):
    with pytest.raises((ValueError, tf.errors.InvalidArgumentError), match=f"DecoupledMixupLoss: {message}"):
        DecoupledMixupLoss(from_logits=True)(y, y_pred)


def test_logits_taken_for_probabilities_are_refused_and_under_xla_nan():
    error = tf.errors.InvalidArgumentError
    with pytest.raises(error, match=r"DecoupledMixupLoss: y_pred must be probabilities.*or from_logits=True"):
        DecoupledMixupLoss()(MIXED, LOGITS)
    compiled = tf.function(DecoupledMixupLoss(), jit_compile=True)
    assert np.isnan(compiled(MIXED, LOGITS))
    assert np.isnan(tf.function(DecoupledMixupLoss(from_logits=True), jit_compile=True)(A + 1, LOGITS))
    assert np.isnan(DecoupledMixupLoss()(MIXED, np.full_like(LOGITS, np.nan)))  # of a model that diverged


@pytest.mark.parametrize("wraps", [False, True])
def test_probabilities_taken_for_logits_are_refused(wraps):
    model = network(activation="softmax")
    model = MixModel(model, KMixupLayer(1, num_classes=5), seed=0) if wraps else model
    model.compile("sgd", DecoupledMixupLoss(from_logits=True), jit_compile=False)
    with pytest.raises(ValueError, match="DecoupledMixupLoss: from_logits must be False for what comes of a softmax"):
        model.fit(X, LABELS, verbose=0)


def test_in_the_other_loss_it_would_have_nothing_to_decouple():
    with pytest.raises(ValueError, match=r"LocalMixupLoss: loss must be one of plain targets.*as it is"):
        LocalMixupLoss(DecoupledMixupLoss())
