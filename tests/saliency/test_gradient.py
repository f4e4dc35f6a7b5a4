"""Gradients against finite differences; models of every kind; and what does not fit is refused by name."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kmix_tf.saliency import GradientSaliency, ask, saliency_of_gradient, smooth

RNG = np.random.default_rng(21)
CROSSENTROPY = keras.losses.CategoricalCrossentropy(from_logits=True)
X = RNG.normal(size=(3, 5, 4, 2)).astype(np.float32)
Y = np.eye(3, dtype=np.float32)[[2, 0, 1]]


def network(shape=(5, 4, 2), classes=3, dtype=None, **options):
    keras.utils.set_random_seed(5)
    inputs = keras.Input(shape, dtype=None if dtype == "mixed_float16" else dtype)
    hidden = keras.layers.Flatten(dtype=dtype)(inputs)
    hidden = keras.layers.Dense(7, activation="tanh", dtype=dtype)(hidden)
    return keras.Model(inputs, keras.layers.Dense(classes, dtype=dtype, **options)(hidden))


def differences(function, x, step=1e-5):
    """Central differences of `function(x) -> (batch,)`, one element of the samples at a time."""
    gradient = np.zeros(x.shape)
    for place in np.ndindex(*x.shape[1:]):
        moved = np.zeros(x.shape[1:])
        moved[place] = step
        gradient[(slice(None), *place)] = (function(x + moved) - function(x - moved)) / (2 * step)
    return gradient


def crossentropy(y, logits):
    """Of each sample, in float64."""
    logits = np.asarray(logits, np.float64)
    return np.log(np.exp(logits).sum(axis=-1)) - (y * logits).sum(axis=-1)


def shares(saliency):
    saliency = np.asarray(saliency, np.float64)
    return saliency / saliency.max(axis=tuple(range(1, saliency.ndim)), keepdims=True)


def test_saliency_is_the_norm_of_finite_differences():
    model, y = network(dtype="float64"), np.float64([[0.2, 0.8, 0], [0, 0, 1], [0.5, 0.25, 0.25]])
    x = X.astype(np.float64)
    saliency = GradientSaliency(model, CROSSENTROPY)([tf.constant(x)], [tf.constant(y)])
    gradient = differences(lambda x: crossentropy(y, model(x)), x)
    expected = np.sqrt((gradient**2).sum(axis=-1))
    # Steps of 1e-5 in float64 leave errors of 1e-10 or so; Keras' losses are of float32 in places.
    np.testing.assert_allclose(shares(saliency), shares(expected), atol=1e-5)


@pytest.mark.parametrize(("shape", "axes"), [((9, 2), 1), ((9,), 1), ((3, 4, 5, 2), 3), ((6, 5), 2)])
def test_images_of_any_number_of_axes_have_it(shape, axes):
    model, x = network(shape, dtype="float64"), RNG.normal(size=(3, *shape))
    saliency = GradientSaliency(model, CROSSENTROPY, axes=axes)([tf.constant(x)], [tf.constant(Y)])
    gradient = differences(lambda x: crossentropy(Y, model(x)), x)
    expected = np.sqrt((gradient**2).reshape(3, *shape[:axes], -1).sum(axis=-1))
    assert saliency.shape == (3, *shape[:axes])
    np.testing.assert_allclose(shares(saliency), shares(expected), atol=1e-5)


@pytest.mark.parametrize(
    ("loss", "own"),
    [
        ("mse", lambda y, p: ((y - p) ** 2).mean(axis=-1)),
        ("MeanSquaredError", lambda y, p: ((y - p) ** 2).mean(axis=-1)),
        (keras.losses.MeanSquaredError(reduction="sum"), lambda y, p: ((y - p) ** 2).mean(axis=-1)),
        (
            lambda y, p: tf.reduce_sum(tf.abs(y - tf.cast(p, y.dtype)) ** 3),
            lambda y, p: (abs(y - p) ** 3).sum(axis=-1),
        ),
    ],
    ids=["name", "class name", "sum", "function"],
)
def test_any_loss_will_do(loss, own):
    model, x = network(dtype="float64"), X.astype(np.float64)
    saliency = GradientSaliency(model, loss)([tf.constant(x)], [tf.constant(Y)])
    gradient = differences(lambda x: own(Y, model(x).numpy()), x)
    np.testing.assert_allclose(shares(saliency), shares(np.sqrt((gradient**2).sum(axis=-1))), atol=1e-5)


def test_a_sample_is_as_salient_in_any_batch():
    source = GradientSaliency(network(), CROSSENTROPY)
    whole = ask(source, [tf.constant(X)], [tf.constant(Y)], 2).numpy()
    for row in range(3):
        part = slice(row, row + 1)
        alone = ask(source, [tf.constant(X[part])], [tf.constant(Y[part])], 2)
        np.testing.assert_allclose(alone, whole[part], atol=1e-5)


def test_the_model_is_asked_as_in_inference_and_nothing_in_it_changes():
    keras.utils.set_random_seed(2)
    layers = [keras.layers.BatchNormalization(), keras.layers.Dropout(0.5), keras.layers.Flatten()]
    model = keras.Sequential([keras.layers.Input((5, 4, 2)), *layers, keras.layers.Dense(3)])
    source, before = GradientSaliency(model, CROSSENTROPY), [weight.copy() for weight in model.get_weights()]
    first, second = (source([tf.constant(X)], [tf.constant(Y)]).numpy() for _ in range(2))
    assert (first == second).all()
    assert all((old == new).all() for old, new in zip(before, model.get_weights(), strict=True))


def test_compiled_and_in_a_pipeline_it_is_the_same():
    source = GradientSaliency(network(), CROSSENTROPY, smoothing=1.0)
    expected = shares(source([tf.constant(X)], [tf.constant(Y)]))
    compiled = tf.function(lambda x, y: source([x], [y]), jit_compile=True)
    np.testing.assert_allclose(shares(compiled(X, Y)), expected, atol=1e-4)
    dataset = tf.data.Dataset.from_tensor_slices((X, Y)).batch(2).map(lambda x, y: source([x], [y]))
    # Losses are means over batches of other sizes: another scale, which saliency has not.
    np.testing.assert_allclose(shares(np.concatenate(list(dataset))), expected, atol=1e-4)


def test_smoothing_smooths():
    rough, smoothed = (
        GradientSaliency(network(), CROSSENTROPY, smoothing=size)([tf.constant(X)], [tf.constant(Y)])
        for size in (None, [1.0, 0.5])
    )
    np.testing.assert_allclose(smoothed, smooth(rough, [1.0, 0.5]), rtol=1e-5)


@pytest.mark.parametrize("dtype", ["uint8", "int32", "float16", "float64"])
def test_features_of_any_dtype_are_taken(dtype):
    source, x = GradientSaliency(network(), CROSSENTROPY), np.clip(np.round(X + 1), 0, 3)
    saliency = source([tf.cast(x, dtype)], [tf.constant(Y)])
    np.testing.assert_allclose(shares(saliency), shares(source([tf.constant(x)], [tf.constant(Y)])), atol=2e-3)


def test_models_of_half_precision_are_taken_and_small_gradients_do_not_vanish():
    half, full = network(dtype="mixed_float16"), network()
    half.set_weights(full.get_weights())
    y = [tf.constant(Y)]
    first, second = (GradientSaliency(model, CROSSENTROPY)([tf.constant(X)], y) for model in (half, full))
    assert first.dtype == tf.float32
    # Half precision has three digits.
    np.testing.assert_allclose(shares(first), shares(second), atol=0.03)
    # Without scaling, gradients of 2e-8 are zeros in float16.
    small = [2e-8 * tf.constant(Y)]
    tiny = GradientSaliency(half, lambda y, p: tf.reduce_sum(y * tf.cast(p, tf.float32)))([tf.constant(X)], small)
    assert (tiny.numpy() > 0).mean() > 0.9


def two_inputs(as_dict):
    keras.utils.set_random_seed(1)
    image, table = keras.Input((5, 4, 2), name="image"), keras.Input((2,), name="table")
    inputs = {"image": image, "table": table} if as_dict else [image, table]
    joined = keras.layers.Concatenate()([keras.layers.Flatten()(image), 3 * table])
    return keras.Model(inputs, keras.layers.Dense(3, activation="tanh")(joined))


@pytest.mark.parametrize("as_dict", [True, False], ids=["dict", "list"])
def test_of_several_features_the_images_are_salient(as_dict):
    model, table = two_inputs(as_dict), RNG.normal(size=(3, 2)).astype(np.float32)
    saliency = GradientSaliency(model, "mse")([tf.constant(X), tf.constant(table)], [tf.constant(Y)])

    def loss(x):
        inputs = {"image": x.astype(np.float32), "table": table}
        return ((model(inputs if as_dict else list(inputs.values())).numpy().astype(np.float64) - Y) ** 2).mean(
            axis=-1
        )

    expected = np.sqrt((differences(loss, X.astype(np.float64), 1e-2) ** 2).sum(axis=-1))
    np.testing.assert_allclose(shares(saliency), shares(expected), atol=5e-3)


def test_of_several_outputs_a_loss_of_ones_own_gets_lists():
    inputs = keras.Input((5, 4, 2))
    flat = keras.layers.Flatten()(inputs)
    model = keras.Model(inputs, [keras.layers.Dense(3)(flat), keras.layers.Dense(1)(flat)])

    def loss(targets, outputs):
        return sum(tf.reduce_sum((y - p) ** 2) for y, p in zip(targets, outputs, strict=True))

    assert GradientSaliency(model, loss)([tf.constant(X)], {"a": Y, "b": np.ones((3, 1), np.float32)}).shape == (
        3,
        5,
        4,
    )
    with pytest.raises(ValueError, match="GradientSaliency: loss must fit the model's outputs"):
        GradientSaliency(model, "mse")([tf.constant(X)], [Y])


def test_without_targets_there_are_no_gradients():
    for targets in (None, []):
        with pytest.raises(ValueError, match=r"GradientSaliency: gradients need targets. Received: targets=None"):
            GradientSaliency(network(), CROSSENTROPY)([tf.constant(X)], targets)


def test_other_numbers_of_features_than_inputs_are_refused():
    message = r"GradientSaliency: features must be as many as the model's inputs. Received: 2 features .* 1 inputs"
    with pytest.raises(ValueError, match=message):
        GradientSaliency(network(), CROSSENTROPY)([tf.constant(X), tf.ones([3, 2])], [Y])


def test_features_of_another_size_than_the_model_takes_are_refused():
    message = rf"GradientSaliency: features must have the sizes that the model takes.*\(3, 9, 9, .*{X.shape[1]}, "
    with pytest.raises(ValueError, match=message):
        GradientSaliency(network(), CROSSENTROPY)([tf.ones([3, 9, 9, X.shape[-1]])], [Y])


@pytest.mark.parametrize(
    "loss", [CROSSENTROPY, "mse", keras.losses.MeanAbsoluteError()], ids=["crossentropy", "mse", "mae"]
)
@pytest.mark.parametrize("shape", [(3, 4), (3, 1), (3,), (3, 3, 3)])
def test_a_loss_that_does_not_fit_is_refused_with_its_shapes(loss, shape):
    message = r"(?s)GradientSaliency: loss must fit .*Received: loss .*float32 \(3,.*outputs .*float32 \(3, 3\)"
    with pytest.raises(ValueError, match=message):
        GradientSaliency(network(), loss)([tf.constant(X)], [np.ones(shape, np.float32)])


def test_a_loss_of_ones_own_that_fails_is_refused_with_its_shapes():
    def loss(y, p):
        return tf.reduce_sum(tf.matmul(y, p))

    with pytest.raises(
        ValueError, match=r"loss must fit .*Received: loss loss, targets .*\(3, 2\).*outputs .*\(3, 3\)"
    ):
        GradientSaliency(network(), loss)([tf.constant(X)], [np.ones((3, 2), np.float32)])


def test_targets_and_outputs_may_differ_by_a_last_axis_of_one():
    model = network(classes=1)
    first, second = (GradientSaliency(model, "mse")([tf.constant(X)], [y]) for y in (Y[:, :1], Y[:, 0]))
    np.testing.assert_allclose(first, second, rtol=1e-5)


def test_a_loss_that_does_not_depend_on_the_image_is_refused():
    with pytest.raises(ValueError, match="GradientSaliency: the loss must depend on the image"):
        GradientSaliency(network(), lambda y, p: tf.reduce_sum(y))([tf.constant(X)], [Y])


@pytest.mark.parametrize("answer", [None, 0.5, np.float32(2)], ids=str)
def test_a_loss_that_returns_no_tensor_is_refused(answer):
    message = (
        rf"GradientSaliency: loss must return a float tensor.*Received: loss <lambda>, which returned .*{answer}"
    )
    with pytest.raises(TypeError, match=message):
        GradientSaliency(network(), lambda y, p: answer)([tf.constant(X)], [Y])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"model": lambda x: x}, "model must be a Keras model"),
        ({"loss": None}, "loss must be a Keras loss, its name or a callable"),
        ({"loss": 3}, "loss must be a Keras loss, its name or a callable"),
        ({"loss": "foo"}, "loss must be a Keras loss, its name or a callable"),
        ({"loss": keras.losses.CategoricalCrossentropy}, "loss must be .* with brackets: CategoricalCrossentropy"),
        ({"axes": 0}, "axes must be"),
        ({"axes": 4}, "axes must be"),
        ({"smoothing": -1.0}, "smoothing must be"),
        ({"smoothing": [1.0]}, "smoothing must be"),
    ],
    ids=["model", "no loss", "loss", "unknown loss", "class", "axes", "many axes", "smoothing", "short smoothing"],
)
def test_other_arguments_are_refused(arguments, message):
    with pytest.raises((TypeError, ValueError), match=f"GradientSaliency: {message}.* Received: "):
        GradientSaliency(**{"model": network(), "loss": CROSSENTROPY, **arguments})


@pytest.mark.parametrize("loss", [CROSSENTROPY, "mse"], ids=["object", "name"])
def test_its_configuration_makes_an_equal_one(loss):
    source = GradientSaliency(network(), loss, smoothing=0.5)
    back = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(source))
    back.model.set_weights(source.model.get_weights())
    arguments = [tf.constant(X)], [tf.constant(Y)]
    np.testing.assert_allclose(back(*arguments), source(*arguments), rtol=1e-6)


@pytest.mark.parametrize("scale", [1e-36, 1e-20, 1.0, 1e20, 1e37])
def test_gradients_of_any_scale_have_norms(scale):
    gradient = RNG.normal(size=(2, 3, 4, 2, 2))
    norms = saliency_of_gradient(tf.constant((gradient * scale).astype(np.float32)), 2)
    expected = np.sqrt((gradient**2).sum(axis=(3, 4)))
    np.testing.assert_allclose(norms.numpy().astype(np.float64) / scale, expected, rtol=1e-4)


def test_gradients_without_channels_are_sizes_and_zeros_and_nan_stay():
    gradient = np.float32([[1, -2, 0], [0, 0, 0], [np.nan, 1, 2]])
    norms = saliency_of_gradient(tf.constant(gradient), 1).numpy()
    assert (norms[:2] == abs(gradient[:2])).all()
    assert np.isnan(norms[2]).any()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_norms_are_of_single_precision_or_double(dtype):
    gradient = tf.cast(RNG.normal(size=(2, 3, 2)), dtype)
    norms = saliency_of_gradient(gradient, 1)
    assert norms.dtype == (tf.float64 if dtype == "float64" else tf.float32)
    np.testing.assert_allclose(norms, np.linalg.norm(tf.cast(gradient, tf.float64), axis=-1), rtol=1e-6)
    with pytest.raises(ValueError, match="saliency_of_gradient: features must have 3 axes"):
        saliency_of_gradient(gradient, 3)
