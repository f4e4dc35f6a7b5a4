import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import logsumexp

from kmix_tf.analysis.attacks import fgsm

GENERATOR = np.random.default_rng(0)
FIRST, SECOND = GENERATOR.normal(size=(3, 8)), GENERATOR.normal(size=(8, 4))
X, Y = GENERATOR.normal(size=(7, 3)), np.arange(7) % 4
LOSSES = {
    "categorical_crossentropy": lambda y, u: logsumexp(u, axis=-1) - (y * u).sum(axis=-1),
    "binary_crossentropy": lambda y, u: (np.logaddexp(0, u) - y * u).sum(axis=-1),
    "squared_error": lambda y, u: 0.5 * np.square(y - u).sum(axis=-1),
}


def model(x):
    return tf.tanh(x @ tf.cast(FIRST, x.dtype)) @ tf.cast(SECOND, x.dtype)


def by_differences(loss, x, y):
    """The gradient's sign by central differences of a network in NumPy; 0 is never met."""
    signs = np.empty_like(x)
    for at in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[at] = 1e-5
        up, down = (loss(y, np.tanh((x + s) @ FIRST) @ SECOND).sum() for s in (step, -step))
        signs[at] = np.sign(up - down)
    return signs


@pytest.mark.parametrize("batch_size", (1, 3, 128))
@pytest.mark.parametrize("loss", LOSSES)
def test_each_feature_moves_by_epsilon_uphill(loss, batch_size):
    expected = X + 0.1 * by_differences(LOSSES[loss], X, np.eye(4)[Y])
    np.testing.assert_allclose(fgsm(model, X, Y, 0.1, loss, batch_size=batch_size), expected, rtol=1e-12)
    np.testing.assert_allclose(fgsm(model, X, np.eye(4)[Y], 0.1, loss), expected, rtol=1e-12)


def test_a_loss_of_keras_and_a_function_do_as_its_name_does():
    expected = fgsm(model, X, Y, 0.1, "categorical_crossentropy")
    sparse = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    np.testing.assert_array_equal(fgsm(model, X, Y, 0.1, sparse), expected)
    own = lambda y, u: tf.nn.sparse_softmax_cross_entropy_with_logits(y, u)  # noqa: E731
    np.testing.assert_array_equal(fgsm(model, X, Y, 0.1, own), expected)


@pytest.mark.parametrize("dtype", ("float16", "bfloat16", "float32", "float64"))
@pytest.mark.parametrize("kind", ("numpy", "tensor", "dataset"))
def test_what_comes_back_is_of_the_kind_and_dtype_that_came(kind, dtype):
    x = tf.cast(X, dtype)
    expected = np.asarray(fgsm(model, x, Y, 0.25, "categorical_crossentropy"), np.float64)
    moved = np.abs(expected - np.asarray(x, np.float64))
    assert np.median(moved) == pytest.approx(0.25, rel=0.02)
    if kind == "numpy":
        ours = fgsm(model, x.numpy(), Y, 0.25, "categorical_crossentropy")
        assert isinstance(ours, np.ndarray)
    elif kind == "tensor":
        ours = fgsm(model, x, Y, 0.25, "categorical_crossentropy")
        assert tf.is_tensor(ours)
    else:
        dataset = tf.data.Dataset.from_tensor_slices((x, Y, np.arange(7))).batch(7)
        ours, y, weight = next(iter(fgsm(model, dataset, None, 0.25, "categorical_crossentropy")))
        assert y.numpy().tolist() == Y.tolist() and weight.numpy().tolist() == list(range(7))
    assert ours.dtype == x.dtype
    np.testing.assert_array_equal(np.asarray(ours, np.float64), expected)


@pytest.mark.parametrize("targets", (Y, Y[:, None], np.eye(4)[Y]), ids=("labels", "column", "one-hot"))
def test_a_dataset_is_attacked_as_an_array_is_however_it_is_batched(targets):
    dataset = tf.data.Dataset.from_tensor_slices((X, targets)).batch(3)
    batches = list(fgsm(model, dataset, None, 0.1, "categorical_crossentropy", clip=(-4, 4)))
    assert [len(x) for x, _ in batches] == [3, 3, 1]
    expected = fgsm(model, X, Y, 0.1, "categorical_crossentropy", clip=(-4, 4))
    np.testing.assert_allclose(np.concatenate([x for x, _ in batches]), expected, rtol=1e-12)


def test_a_keras_model_is_asked_as_in_inference_and_hurt():
    keras.utils.set_random_seed(0)
    layers = keras.layers
    network = keras.Sequential([layers.Input((3,)), layers.Dense(8, "relu"), layers.Dropout(0.9), layers.Dense(1)])
    x, y = X.astype(np.float32), (Y > 1).astype(float)
    adversarial = fgsm(network, x, y, 0.1, "binary_crossentropy")
    np.testing.assert_array_equal(fgsm(network, x, y, 0.1, "binary_crossentropy"), adversarial)
    loss = lambda x: np.logaddexp(0, u := network(x).numpy()[:, 0]) - y * u  # noqa: E731
    assert (loss(adversarial) >= loss(x)).all() and loss(adversarial).mean() > loss(x).mean() + 0.01


def test_the_confident_are_moved_too():
    # In float32, softmax is exactly 1 from a gap of 17 on, and the gradient of its cross-entropy 0.
    x = np.array([[30.0, 0.0]], np.float32)
    assert fgsm(lambda x: x, x, [0], 0.5, "categorical_crossentropy").tolist() == [[29.5, 0.5]]


def test_clipping_keeps_the_range_and_a_feature_without_slope_stays():
    x = np.array([[0.0, 0.5, 0.5]])
    flat = lambda x: x[:, :2] @ tf.constant([[1.0, 0.0], [0.0, 1.0]], tf.float64)  # noqa: E731
    assert fgsm(flat, x, [[1.0, 0.0]], 0.1, "squared_error", clip=(0, 0.55)).tolist() == [[0.0, 0.55, 0.5]]
    assert fgsm(flat, x, [[1.0, 0.0]], 0, "squared_error").tolist() == x.tolist()


NAN = lambda x: x * tf.sqrt(x - x)  # noqa: E731  its slope at 0 is infinite


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"epsilon": -0.1}, ValueError, "fgsm: epsilon must be >= 0 and finite. Received: epsilon=-0.1."),
        ({"x": (X * 9).astype(np.uint8)}, TypeError, "fgsm: x must be floating. Received: x of dtype uint8."),
        ({"x": X.astype(object)}, TypeError, "fgsm: x must be floating. Received: x of dtype object."),
        ({"x": X[:3]}, ValueError, "same number of samples"),
        ({"y": None}, ValueError, "same number of samples"),
        ({"y": Y + 1}, ValueError, r"fgsm: labels must be in \[0, 4\)"),
        ({"y": np.eye(3)[Y % 3]}, ValueError, r"fgsm: y must be \(n, 4\)"),
        ({"model": 3}, TypeError, "fgsm: model must be a Keras model or a callable"),
        ({"model": lambda x: x[:, 0]}, ValueError, r"one tensor \(batch, outputs\)"),
        ({"model": lambda x: tf.round(x) @ FIRST @ SECOND}, ValueError, "fgsm: model must be differentiable"),
        ({"model": lambda x: NAN(x) @ FIRST @ SECOND}, ValueError, "fgsm: gradients must be finite"),
        ({"loss": "hinge"}, ValueError, "fgsm: loss must be one of 'categorical_crossentropy'"),
        ({"loss": lambda y, u: tf.reduce_sum(u)}, ValueError, "fgsm: loss must not reduce over the batch"),
        ({"clip": 1}, ValueError, r"fgsm: clip must be None or \(low, high\). Received: clip=1."),
        ({"clip": (1, 0)}, ValueError, "with low < high"),
        ({"clip": (0, 1)}, ValueError, r"fgsm: x must be in clip=\[0, 1\]"),
        ({"batch_size": 0}, ValueError, "fgsm: batch_size must be an integer >= 1"),
        ({"x": tf.data.Dataset.from_tensors((X, Y))}, ValueError, "fgsm: y must be None where x is a dataset"),
        ({"x": tf.data.Dataset.from_tensors(X), "y": None}, ValueError, "fgsm: a dataset must be of batches"),
        ({"x": tf.data.Dataset.from_tensors((Y, Y)), "y": None}, TypeError, "fgsm: x must be floating"),
        ({"x": tf.data.Dataset.from_tensors((X, X)), "y": None}, ValueError, r"fgsm: y must be \(7, 4\)"),
    ],
    ids=lambda value: None,
)
def test_other_arguments_are_refused(change, error, message):
    with pytest.raises(error, match=message):
        fgsm(**{"model": model, "x": X, "y": Y, "epsilon": 0.1, "loss": "categorical_crossentropy", **change})


@pytest.mark.parametrize(
    ("x", "y", "options", "message"),
    [
        (X, Y + 1, {}, r"fgsm: labels must be in \[0, 4\)"),
        (X * np.nan, Y, {}, "fgsm: gradients must be finite"),
        (X, Y, {"clip": (0, 1)}, r"fgsm: x must be in clip=\[0, 1\]"),
    ],
    ids=lambda value: None,
)
def test_bad_batches_of_a_dataset_are_refused_as_they_are_drawn(x, y, options, message):
    dataset = fgsm(model, tf.data.Dataset.from_tensors((x, y)), None, 0.1, "categorical_crossentropy", **options)
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        next(iter(dataset))
