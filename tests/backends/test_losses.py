"""LocalMixupLoss and DecoupledMixupLoss under whatever back end Keras runs: values, steps, saving and refusals."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kmix_tf import DecoupledMixupLoss, LocalMixupLoss, pack_targets, unpack_targets

pytestmark = pytest.mark.skipif(keras.__version__ < "3", reason="Keras 2 has TensorFlow alone")

BACKEND = keras.backend.backend()
# PyTorch compiles with a compiler of C++, which not every machine has.
COMPILED = [False] if BACKEND == "torch" else [False, True]
RNG = np.random.default_rng(3)
SIZE, CLASSES, RATE = 11, 4, 0.5
X = RNG.normal(size=(SIZE, 3)).astype("f4")
A, B = RNG.integers(0, CLASSES, (2, SIZE)).astype("i4")
RATIO, WEIGHT, COUNT = RNG.uniform(size=(3, SIZE)).astype("f4")
WEIGHT[3] = 0
KERNEL = RNG.normal(size=(3, CLASSES)).astype("f4")
ONE_HOT = np.eye(CLASSES, dtype="f4")
MIXED = RATIO[:, np.newaxis] * ONE_HOT[A] + (1 - RATIO[:, np.newaxis]) * ONE_HOT[B]
SPARSE, SOFT = "sparse_categorical_crossentropy", "categorical_crossentropy"
FORMS = {
    # Keras' loss, targets, the soft labels that they stand for, and weights.
    "classes": ("sparse_categorical_crossentropy", lambda: pack_targets(A, B, RATIO, WEIGHT), MIXED, WEIGHT),
    "labels": (
        "categorical_crossentropy",
        lambda: pack_targets(ONE_HOT[A], ONE_HOT[B], RATIO, WEIGHT),
        MIXED,
        WEIGHT,
    ),
    "plain": ("categorical_crossentropy", lambda: MIXED, MIXED, np.ones(SIZE)),
}


def array(tensor):
    return keras.ops.convert_to_numpy(tensor)


def softmax(u):
    e = np.exp(u - u.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def linear_model(policy="float32", kernel=KERNEL):
    dense = keras.layers.Dense(CLASSES, activation="softmax", use_bias=False, dtype=policy)
    model = keras.Sequential([keras.Input([3]), dense])
    model.set_weights([kernel])
    return model


def one_step(soft, weight):
    """Loss and kernel after a step of gradient descent, in float64 by the formula of softmax regression."""
    p = softmax(X.astype("f8") @ KERNEL)
    loss = -(weight * (soft * np.log(p)).sum(axis=1)).sum() / SIZE
    return loss, KERNEL - RATE * X.T @ (weight[:, np.newaxis] * (p - soft)) / SIZE


@pytest.mark.parametrize("jit_compile", COMPILED)
@pytest.mark.parametrize("counted", [False, True], ids=["all alike", "sample weights"])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.representatives(
    "form, counted, jit_compile",
    [("classes", False, COMPILED[-1]), ("labels", True, COMPILED[-1]), ("plain", True, COMPILED[0])],
)
def test_a_step_of_fit_learns_what_softmax_regression_would(form, counted, jit_compile):
    stock, targets, soft, weight = FORMS[form]
    model = linear_model()
    model.compile(keras.optimizers.SGD(RATE), LocalMixupLoss(stock), jit_compile=jit_compile)
    counts = COUNT if counted else None
    history = model.fit(X, array(targets()), sample_weight=counts, batch_size=SIZE, verbose=0).history
    loss, kernel = one_step(soft, weight * COUNT if counted else weight)
    np.testing.assert_allclose(history["loss"], [loss], rtol=1e-5)
    np.testing.assert_allclose(model.get_weights()[0], kernel, atol=1e-6)


@pytest.mark.parametrize("jit_compile", COMPILED)
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_a_step_in_half_precision_learns_nearly_the_same(policy, jit_compile):
    stock, targets, soft, weight = FORMS["classes"]
    model = linear_model(policy)
    # Without scaling: a scaled optimizer may skip its first steps.
    model.compile(keras.optimizers.SGD(RATE), LocalMixupLoss(stock), auto_scale_loss=False, jit_compile=jit_compile)
    history = model.fit(X, array(targets()), batch_size=SIZE, verbose=0).history
    loss, kernel = one_step(soft, weight)
    tolerance = 0.003 if policy == "mixed_float16" else 0.02
    np.testing.assert_allclose(history["loss"], [loss], rtol=tolerance)
    np.testing.assert_allclose(model.get_weights()[0], kernel, atol=tolerance)


@pytest.mark.parametrize("jit_compile", COMPILED)
def test_a_last_partial_batch_of_a_dataset_counts_by_its_size(jit_compile):
    stock, targets, soft, weight = FORMS["classes"]
    dataset = tf.data.Dataset.from_tensor_slices((X, array(targets()))).batch(4)
    model = linear_model()
    model.compile("sgd", LocalMixupLoss(stock), jit_compile=jit_compile)
    ours = model.evaluate(dataset, verbose=0)
    np.testing.assert_allclose(ours, one_step(soft, weight)[0], rtol=1e-5)


def plain_log(y_true, y_pred):
    """Cross-entropy that is infinite where the class has no probability."""
    return -keras.ops.sum(keras.ops.where(y_true > 0, y_true * keras.ops.log(y_pred), 0.0), axis=-1)


@pytest.mark.parametrize("jit_compile", COMPILED)
def test_a_weight_of_0_silences_an_infinite_loss_and_its_gradient(jit_compile):
    kernel, x = np.eye(3, CLASSES, dtype="f4"), X[:2].copy()
    x[0] = [-500, 500, -500]  # of which classes 0 and 2 have no probability in float32
    y = array(pack_targets(ONE_HOT[[0, 1]], ONE_HOT[[2, 1]], [0.5, 0.5], [0.0, 1.0]))
    model = linear_model(kernel=kernel)
    assert array(model(x))[0, 0] == 0
    model.compile(keras.optimizers.SGD(RATE), LocalMixupLoss(plain_log), jit_compile=jit_compile)
    history = model.fit(x, y, verbose=0).history
    p = softmax(x.astype("f8") @ kernel)[1]
    np.testing.assert_allclose(history["loss"], [-np.log(p[1]) / 2], rtol=1e-5)
    expected = kernel - RATE * np.outer(x[1], p - ONE_HOT[1]) / 2
    np.testing.assert_allclose(model.get_weights()[0], expected, atol=1e-6)


def test_losses_that_are_not_linear_are_mixed_and_not_their_targets():
    p = softmax(X @ KERNEL)
    y_a, y_b = RNG.normal(size=(2, SIZE, CLASSES)).astype("f4")
    ours = LocalMixupLoss("mse")(pack_targets(y_a, y_b, RATIO, WEIGHT), p)
    first, second = (np.square(y - p).mean(axis=1) for y in (y_a, y_b))
    np.testing.assert_allclose(array(ours), (WEIGHT * (RATIO * first + (1 - RATIO) * second)).mean(), rtol=1e-5)


def test_places_of_maps_have_losses_of_their_own():
    p = softmax(RNG.normal(size=(24, CLASSES))).reshape(4, 6, CLASSES).astype("f4")
    a, b = RNG.integers(0, CLASSES, (2, 4, 6)).astype("i4")
    ratio = RNG.uniform(size=(4, 6)).astype("f4")
    ours = LocalMixupLoss("sparse_categorical_crossentropy")(pack_targets(a, b, ratio, WEIGHT[:4]), p)
    first, second = (-np.log(np.take_along_axis(p, y[..., np.newaxis], -1)[..., 0]) for y in (a, b))
    expected = (WEIGHT[:4, np.newaxis] * (ratio * first + (1 - ratio) * second)).mean()
    np.testing.assert_allclose(array(ours), expected, rtol=1e-5)


def test_two_outputs_have_a_loss_each():
    inputs = keras.Input([3])
    outputs = {
        "kind": keras.layers.Dense(CLASSES, activation="softmax", name="kind")(inputs),
        "size": keras.layers.Dense(1, name="size")(inputs),
    }
    model = keras.Model(inputs, outputs)
    sizes = RNG.normal(size=(2, SIZE)).astype("f4")
    losses = {"kind": LocalMixupLoss("sparse_categorical_crossentropy"), "size": LocalMixupLoss("mse")}
    model.compile("sgd", losses)
    y = {"kind": array(pack_targets(A, B, RATIO)), "size": array(pack_targets(*sizes, RATIO))}
    answer = model.predict(X, verbose=0)
    p, size = answer["kind"].astype("f8"), answer["size"][:, 0]
    kind = -(MIXED * np.log(p)).sum(axis=1).mean()
    square = (RATIO * np.square(sizes[0] - size) + (1 - RATIO) * np.square(sizes[1] - size)).mean()
    ours = model.evaluate(X, y, batch_size=4, verbose=0, return_dict=True)
    np.testing.assert_allclose(ours["loss"], kind + square, rtol=1e-5)


ELSEWHERE = """
import json, sys
import keras, numpy as np
import kmix_tf
model = keras.saving.load_model(sys.argv[1])
data = np.load(sys.argv[2])
print(json.dumps(model.evaluate(data["x"], data["y"], verbose=0)))
"""


def test_a_saved_model_brings_its_loss_to_another_process(tmp_path, elsewhere):
    _, targets, soft, weight = FORMS["labels"]
    model = linear_model()
    model.compile("sgd", LocalMixupLoss(keras.losses.CategoricalCrossentropy(), name="local"))
    model.save(tmp_path / "model.keras")
    np.savez(tmp_path / "data.npz", x=X, y=array(targets()))
    told = elsewhere(ELSEWHERE, tmp_path / "model.keras", tmp_path / "data.npz").splitlines()[-1]
    assert float(told) == pytest.approx(one_step(soft, weight)[0], rel=1e-5)


def test_packing_gives_arrays_of_the_back_end_and_in_a_map_tensors_of_tensorflow():
    packed = pack_targets(A, B, RATIO, WEIGHT)
    assert keras.ops.is_tensor(packed)
    back = unpack_targets(packed)
    for ours, given in zip(back, (A[:, None, None], B[:, None, None], RATIO[:, None], WEIGHT[:, None]), strict=True):
        np.testing.assert_array_equal(array(ours), given)
    dataset = tf.data.Dataset.from_tensor_slices((A, B, RATIO)).batch(4)
    for batch in (dataset.map(pack_targets), (pack_targets(*each) for each in dataset)):
        rows = list(batch)
        assert all(isinstance(each, tf.Tensor) for each in rows)
        np.testing.assert_array_equal(np.concatenate(rows)[..., :3], array(packed)[..., :3])
        assert isinstance(unpack_targets(rows[0]).ratio, tf.Tensor)


def dice_of_all(y_true, y_pred):
    return 1 - keras.ops.sum(y_true * y_pred)


def of_other_shapes(y_true, y_pred):
    return keras.ops.sum(keras.ops.matmul(y_true, y_pred), axis=-1)


@pytest.mark.parametrize(
    ("loss", "targets", "message"),
    [
        ("categorical_crossentropy", np.zeros((SIZE, 7)), r"targets must be plain, or packed.*\(11, 7\).*\(11, 4\)"),
        (dice_of_all, FORMS["labels"][1], "loss must give one number for each sample.*dice_of_all"),
        (of_other_shapes, FORMS["labels"][1], "loss must take each of both targets by itself.*of_other_shapes"),
        ("sparse_categorical_crossentropy", np.zeros((SIZE, 5, 1, 4)), "targets must be plain, or packed"),
    ],
    ids=["shape", "whole batch", "stops", "places"],
)
def test_what_does_not_fit_is_refused_by_name(loss, targets, message):
    targets = targets() if callable(targets) else targets.astype("f4")
    with pytest.raises(ValueError, match=f"LocalMixupLoss: {message}"):
        LocalMixupLoss(loss)(targets, softmax(X @ KERNEL))


def test_a_loss_that_is_none_is_refused():
    with pytest.raises(TypeError, match="LocalMixupLoss: loss must be a Keras loss"):
        LocalMixupLoss(3)


def decoupled(y, p, eta):
    """Of each row, cross-entropy plus terms of which the softmax lacks the mixture's other classes."""
    losses = []
    for shares, likely in zip(y.astype("f8"), p.astype("f8"), strict=True):
        mixed = np.flatnonzero(shares > 1e-3)
        rest = 1 - likely[mixed].sum()
        terms = [shares[c] * -np.log(likely[c] / (likely[c] + rest)) for c in mixed] if len(mixed) > 1 else [0.0]
        losses.append(-(shares * np.log(likely)).sum() + eta * sum(terms))
    return np.array(losses)


@pytest.mark.parametrize("jit_compile", COMPILED)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.representatives("form, jit_compile", [("classes", COMPILED[-1]), ("plain", COMPILED[0])])
def test_a_step_with_the_decoupled_loss_learns_what_differences_of_it_say(form, jit_compile):
    _, targets, soft, weight = FORMS[form]

    def total(kernel):
        return (weight * decoupled(soft, softmax(X.astype("f8") @ kernel), 2.0)).sum() / SIZE

    model = linear_model()
    model.compile(keras.optimizers.SGD(RATE), DecoupledMixupLoss(2.0), jit_compile=jit_compile)
    history = model.fit(X, array(targets()), batch_size=SIZE, verbose=0).history
    np.testing.assert_allclose(history["loss"], [total(KERNEL)], rtol=1e-5)
    slope, step = np.zeros(KERNEL.shape), 1e-5
    for at in np.ndindex(KERNEL.shape):
        up, down = KERNEL.astype("f8"), KERNEL.astype("f8")
        up[at], down[at] = up[at] + step, down[at] - step
        slope[at] = (total(up) - total(down)) / (2 * step)
    np.testing.assert_allclose(model.get_weights()[0], KERNEL - RATE * slope, atol=1e-6)


def test_the_decoupled_loss_takes_logits_and_refuses_what_does_not_fit():
    logits = X @ KERNEL
    ours = DecoupledMixupLoss(0.5, from_logits=True)(MIXED, logits)
    np.testing.assert_allclose(array(ours), decoupled(MIXED, softmax(logits), 0.5).mean(), rtol=1e-5)
    error = tf.errors.InvalidArgumentError if BACKEND == "tensorflow" else ValueError
    with pytest.raises(error, match="DecoupledMixupLoss: y_pred must be probabilities"):
        DecoupledMixupLoss()(MIXED, logits)
    with pytest.raises(error, match="DecoupledMixupLoss: targets must be soft labels, or classes"):
        DecoupledMixupLoss(from_logits=True)(A + CLASSES, logits)


class Shifted(keras.layers.Layer):
    """Its input plus a weight for each column."""

    def build(self, shape):
        self.shift = self.add_weight(shape=(shape[-1],), initializer="zeros", name="shift")

    def call(self, x):
        return x + self.shift


@pytest.mark.parametrize("jit_compile", COMPILED)
@pytest.mark.parametrize("rest", [[1.0, -np.inf], [-np.inf, -np.inf]], ids=["one left", "none left"])
def test_the_decoupled_loss_bears_impossible_classes(rest, jit_compile):
    logits = np.float32([[1.0, 2.0, *rest]])
    model = keras.Sequential([keras.Input([4]), Shifted()])
    model.compile(keras.optimizers.SGD(1.0), DecoupledMixupLoss(1.0, from_logits=True), jit_compile=jit_compile)
    history = model.fit(logits, np.float32([[0.25, 0.75, 0, 0]]), verbose=0).history
    likely = softmax(logits.astype("f8"))[0]
    # Of each class, the odds against it without the other one.
    odds = likely[2:].sum() / likely[:2]
    loss = -np.dot([0.25, 0.75], np.log(likely[:2])) + np.dot([0.25, 0.75], np.log1p(odds))
    np.testing.assert_allclose(history["loss"], [loss], rtol=1e-5)
    assert np.isfinite(model.get_weights()[0]).all()
