"""MixModel's pass over the batch before it is mixed: what matters in it, and the gradient of the clean batch."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from kmix_tf import (
    AttentiveMixLayer,
    Blended,
    KMixupLayer,
    LinearBlend,
    LocalMixupLoss,
    MixLayer,
    MixModel,
    PuzzleMixLayer,
    SaliencyMixLayer,
)
from kmix_tf.models import first_pass

IS_KERAS_3 = keras.__version__.startswith("3")
RNG = np.random.default_rng(2)
X = RNG.normal(size=(16, 4, 5, 2)).astype(np.float32)
Y = RNG.integers(0, 3, 16)
RATE = 0.1
ENTROPY = keras.losses.CategoricalCrossentropy(from_logits=True)


@keras.saving.register_keras_serializable(package="kmix_tf_tests")
class SalienceAsRatio:
    """A blend whose mask is what it is told: any error in the saliency shows in the mixture."""

    needs_saliency = True

    def __init__(self, saliency=None, axes=2):
        self.saliency, self.axes = saliency, axes

    def saliency_of(self, features, targets):
        return self.saliency(features, targets)

    def __call__(self, first, second, partner, ratio, seed, saliency=None):
        of_first, of_second = saliency
        share = of_first / (of_first + tf.gather(of_second, partner) + 1e-12)
        x = [share[..., tf.newaxis] * first[0] + (1 - share[..., tf.newaxis]) * tf.gather(second[0], partner)]
        return Blended(x, ratio)

    def get_config(self):
        return {"saliency": None, "axes": self.axes}


def by_brightness(features, targets):
    return tf.reduce_sum(tf.abs(features[0]), axis=-1) + tf.reduce_sum(targets[0][:, tf.newaxis, :1], -1)[:, None]


def network(dropout=0.0, penalty=0.0, dtype=None, seed=0):
    keras.utils.set_random_seed(seed)
    layers = keras.layers
    return keras.Sequential(
        [
            layers.Input((4, 5, 2)),
            layers.Conv2D(3, 3, activation="tanh", dtype=dtype, kernel_regularizer=keras.regularizers.L2(penalty)),
            layers.BatchNormalization(dtype=dtype),
            layers.Dropout(dropout, dtype=dtype),
            layers.Flatten(dtype=dtype),
            layers.Dense(3, dtype=dtype),
        ]
    )


def compiled(layer, model=None, clean_weight=0.0, optimizer=None, **options):
    mixing = MixModel(model or network(), layer, seed=1, clean_weight=clean_weight)
    mixing.compile(optimizer or keras.optimizers.SGD(RATE), **{"loss": ENTROPY, **options})
    return mixing


def seed_of_first_step(layer):
    return MixModel(network(), layer, seed=1)._counter.next()[1]


def gradients(model, x, y, training, by):
    with tf.GradientTape() as tape:
        x = tf.convert_to_tensor(x)
        tape.watch(x)
        loss = ENTROPY(y, model(x, training=training))
    return tape.gradient(loss, [x] if by == "input" else [tf_variable(v) for v in model.trainable_variables])


def tf_variable(variable):
    return variable.value if IS_KERAS_3 else variable


def fit(mixing, **options):
    return mixing.fit(X, Y, **{"batch_size": 16, "epochs": 1, "shuffle": False, "verbose": 0, **options})


def weights(model):
    return [np.array(value) for value in model.get_weights()]


def assert_same(ours, theirs, rtol=1e-4, atol=1e-6):
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine, other, rtol=rtol, atol=atol)


def stepped(model, grads):
    """The trainable weights after a step of plain gradient descent."""
    return [np.array(v) - RATE * np.array(g) for v, g in zip(model.trainable_variables, grads, strict=True)]


SALIENT = {
    "mask": lambda: MixLayer(blend=SalienceAsRatio(), num_classes=3),
    "saliencymix": lambda: SaliencyMixLayer(num_classes=3, interpolations=2),
    "attentivemix": lambda: AttentiveMixLayer(grid=2, num_classes=3, interpolations=2),
    "puzzle mix": lambda: PuzzleMixLayer(blocks=2, solver="graph", interpolations=2, num_classes=3),
}


# Each mix, and each of the two ways with and without the other.
PAIRS = [("mask", 0.7, True), ("saliencymix", 0.0, True), ("puzzle mix", 0.7, False)]


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("clean_weight", [0.0, 0.7])
@pytest.mark.parametrize("name", SALIENT)
@pytest.mark.representatives("name, clean_weight, jit_compile", PAIRS)
def test_a_step_is_that_of_a_loop_by_hand_which_tells_the_layer_the_size_of_the_input_gradient(
    name, clean_weight, jit_compile
):
    layer = SALIENT[name]()
    mixing = compiled(layer, clean_weight=clean_weight, jit_compile=jit_compile)
    fit(mixing)
    model, y = network(), np.eye(3, dtype=np.float32)[Y]
    (slope,) = gradients(model, X, y, training=bool(clean_weight), by="input")
    saliency = np.sqrt(np.square(slope.numpy()).sum(axis=-1))
    x, mixed_y = layer(X, Y, seed=seed_of_first_step(layer), saliency=saliency)
    wanted = gradients(model, x, mixed_y, training=True, by="weights")
    if clean_weight:
        clean = gradients(model, X, y, training=True, by="weights")
        wanted = [a + clean_weight * b for a, b in zip(wanted, clean, strict=True)]
    assert_same(mixing.trainable_variables, stepped(model, wanted), rtol=1e-3, atol=1e-5)


def flat_network():
    keras.utils.set_random_seed(0)
    layers = keras.layers
    return keras.Sequential([layers.Input((4, 5, 2)), layers.Flatten(), layers.Dense(3, "tanh"), layers.Dense(3)])


@pytest.mark.as_users_compile
def test_with_a_clean_weight_of_1_it_takes_twice_the_step_of_regmixups_mean_over_both_batches():
    layer = KMixupLayer(1, alpha=20.0, num_classes=3)
    fit(compiled(layer, ours := flat_network(), clean_weight=1.0, jit_compile=False))
    mixed_x, mixed_y = layer(X, Y, seed=seed_of_first_step(layer))
    x, y = np.concatenate([X, mixed_x]), np.concatenate([np.eye(3, dtype=np.float32)[Y], mixed_y])
    model = flat_network()
    of_both = gradients(model, x, y, training=True, by="weights")
    assert_same(ours.trainable_variables, stepped(model, [2 * each for each in of_both]))


def test_a_map_shows_both_batches_as_one_as_the_docstring_says():
    layer = KMixupLayer(1, alpha=20.0, num_classes=3)
    both = lambda *each: tf.concat(each, 0)  # noqa: E731  As it is printed.
    dataset = tf.data.Dataset.from_tensor_slices((X, Y)).batch(8)
    dataset = dataset.map(lambda x, y: tf.nest.map_structure(both, layer(x, y, training=False), layer(x, y)))
    for at, (x, y) in enumerate(dataset.as_numpy_iterator()):
        np.testing.assert_array_equal(x[:8], X[8 * at : 8 * at + 8])
        np.testing.assert_array_equal(y[:8], np.eye(3)[Y[8 * at : 8 * at + 8]])
        assert x.shape == (16, 4, 5, 2) and y.shape == (16, 3)
        assert np.abs(x[8:] - x[:8]).max(axis=(1, 2, 3)).min() > 0.1


def test_the_clean_gradient_is_that_of_any_mix_and_counts_penalties_once():
    layer = KMixupLayer(2, solver="graph", num_classes=3)
    mixing = compiled(layer, network(penalty=0.5), clean_weight=2.0)
    fit(mixing)
    model = network(penalty=0.5)
    x, y = layer(X, Y, seed=seed_of_first_step(layer))
    parts = [
        gradients(model, x, y, training=True, by="weights"),
        gradients(model, X, np.eye(3, dtype=np.float32)[Y], training=True, by="weights"),
    ]
    wanted = [a + 2 * b for a, b in zip(*parts, strict=True)]
    wanted[0] += 2 * 0.5 * model.trainable_variables[0]
    assert_same(mixing.trainable_variables, stepped(model, wanted))


def test_without_the_clean_gradient_the_pass_is_one_of_inference():
    keras.utils.set_random_seed(0)
    model = network(dropout=0.5)
    layer = MixLayer(blend=SalienceAsRatio(), num_classes=3)
    fit(compiled(layer, model))
    moving = [v for v in model.non_trainable_variables if "moving_mean" in (v.path if IS_KERAS_3 else v.name)]
    plain = network(dropout=0.5)
    (slope,) = gradients(plain, X, np.eye(3, dtype=np.float32)[Y], training=False, by="input")
    saliency = np.sqrt(np.square(slope.numpy()).sum(axis=-1))
    x, _ = layer(X, Y, seed=seed_of_first_step(layer), saliency=saliency)
    # One update of the moving mean, by what the convolution made of the mixtures.
    hidden = plain.layers[0](x).numpy().mean(axis=(0, 1, 2))
    np.testing.assert_allclose(moving[0].numpy(), 0.01 * hidden, rtol=1e-3, atol=1e-6)


def test_logs_are_those_of_the_mixtures_alone():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4, 5, 2))
    flat = keras.layers.Flatten()(inputs)
    outputs = {"a": keras.layers.Dense(3, name="a")(flat), "b": keras.layers.Dense(3, name="b")(flat)}
    model = keras.Model(inputs, outputs)
    initial = model.get_weights()
    layer = MixLayer(num_classes={"a": 3, "b": 3})
    logs = []
    for clean_weight in (0.0, 5.0):
        model.set_weights(initial)
        mixing = MixModel(model, layer, seed=1, clean_weight=clean_weight)
        mixing.compile(keras.optimizers.SGD(RATE), {"a": ENTROPY, "b": ENTROPY}, metrics={"a": ["accuracy"]})
        logs.append(mixing.fit(X, {"a": Y, "b": Y}, batch_size=16, verbose=0).history)
    assert logs[0].keys() == logs[1].keys()
    for name in logs[0]:
        np.testing.assert_allclose(logs[0][name], logs[1][name], rtol=1e-6)


def test_in_float16_a_scaled_loss_gives_the_step_of_float32():
    steps = []
    for policy in ("mixed_float16", "float32"):
        optimizer = (
            keras.mixed_precision.LossScaleOptimizer if not IS_KERAS_3 else keras.optimizers.LossScaleOptimizer
        )
        optimizer = optimizer(keras.optimizers.SGD(RATE))
        model = network(dtype=policy)
        before = weights(model)
        fit(compiled(MixLayer(blend=LinearBlend(), num_classes=3), model, 1.0, optimizer, jit_compile=False))
        steps.append([after - value for after, value in zip(weights(model), before, strict=True)])
    assert_same(*steps, rtol=0.05, atol=2e-3)
    assert max(np.abs(step).max() for step in steps[0]) > 0.01


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
@pytest.mark.representatives("dtype", ["float16"])
def test_weights_of_any_dtype_get_the_clean_gradient(dtype):
    steps = []
    for clean_weight in (0.0, 3.0):
        keras.utils.set_random_seed(0)
        layers = [keras.layers.Flatten(dtype=dtype), keras.layers.Dense(3, dtype=dtype)]
        model = keras.Sequential([keras.layers.Input((4, 5, 2)), *layers])
        before = np.float64(model.get_weights()[0])
        # Nothing is mixed, so that the clean gradient is the other one.
        layer = MixLayer(blend=SalienceAsRatio(), num_classes=3, probability=0.0)
        fit(compiled(layer, model, clean_weight, jit_compile=False))
        steps.append(np.float64(model.get_weights()[0]) - before)
    assert np.abs(steps[0]).max() > 0.01
    np.testing.assert_allclose(steps[1], 4 * steps[0], atol=1e-6 if dtype == "float64" else 0.02)


def test_a_scale_beyond_float16_leaves_the_clean_gradient_whole():
    gradient = first_pass.unscaled(tf.constant([[8.0, 65504.0]], tf.float16), tf.constant(2.0**16))
    np.testing.assert_allclose(gradient, [[2.0**-13, 65504 / 2**16]], rtol=1e-6)
    layer = keras.layers.Dense(2, use_bias=False, dtype="float16")
    layer.build((None, 1))
    with tf.GradientTape() as tape:
        loss = 2.0**16 * first_pass.carrying(layer.trainable_variables, [gradient], 0.5)
    assert tape.gradient(loss, tf_variable(layer.kernel)).numpy().tolist() == [[4.0, 32752.0]]


def test_a_blend_with_a_source_of_its_own_is_not_told_otherwise():
    layer = MixLayer(blend=SalienceAsRatio(by_brightness), num_classes=3)
    mixing = compiled(layer)
    fit(mixing)
    model = network()
    x, y = layer(X, Y, seed=seed_of_first_step(layer))
    told = by_brightness([tf.constant(X)], [tf.one_hot(Y, 3)])
    same_x, _ = layer(X, Y, seed=seed_of_first_step(layer), saliency=told)
    np.testing.assert_allclose(x, same_x, rtol=1e-6)
    assert_same(mixing.trainable_variables, stepped(model, gradients(model, x, y, True, "weights")))


def test_packed_targets_have_a_first_pass_too():
    mixing = MixModel(network(), MixLayer(targets="packed", blend=SalienceAsRatio()), seed=1, clean_weight=0.5)
    sparse = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    mixing.compile(keras.optimizers.SGD(RATE), LocalMixupLoss(sparse))
    assert np.isfinite(fit(mixing).history["loss"][0])


# Logical devices must be made before TensorFlow starts, so the steps are taken in a process of their own.
REPLICAS = """
import json, keras, numpy as np, tensorflow as tf, warnings
from kmix_tf import MixModel, SaliencyMixLayer
devices = [tf.config.LogicalDeviceConfiguration()] * 2
tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], devices)
rng = np.random.default_rng(0)
x, y = rng.normal(size=(8, 2, 3)).astype("float32"), np.eye(4, dtype="float32")[rng.integers(0, 4, 8)]
kernel = rng.normal(size=(6, 4)).astype("float32")

def step(strategy, rate, layer=None):
    with strategy.scope():
        model = keras.Sequential([keras.Input((2, 3)), keras.layers.Flatten(), keras.layers.Dense(4, use_bias=False)])
        model.set_weights([kernel])
        trained = model if layer is None else MixModel(model, layer, seed=0, clean_weight=2.0)
        loss = keras.losses.CategoricalCrossentropy(from_logits=True)
        trained.compile(keras.optimizers.SGD(rate), loss, jit_compile=False)
    trained.fit(tf.data.Dataset.from_tensors((x, y)), verbose=0)
    return model.get_weights()[0].tolist()

one, two = tf.distribute.get_strategy(), tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
unmixed = lambda: SaliencyMixLayer(alpha=0.0)
steps = [step(one, 1.5), step(one, 0.5, unmixed()), step(two, 0.5, unmixed())]
x, kernel = np.where(np.arange(8)[:, None, None] % 4 == 0, 1e30, x).astype("float32"), 1e30 * kernel
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    step(two, 0.5, unmixed())
print(json.dumps([*steps, [str(each.message) for each in caught if "saliency" in str(each.message)]]))
"""


def test_on_two_replicas_the_clean_gradient_is_that_of_one_device(elsewhere):
    # Of batches that alpha = 0 leaves as they are, so that the step is three times the plain one.
    plain, one, two, (told,) = json.loads(elsewhere(REPLICAS).splitlines()[-1])
    np.testing.assert_allclose(one, plain, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(two, plain, rtol=1e-5, atol=1e-6)
    # One sample of each replica's four overflows.
    assert "the saliency of 2 samples was NaN or infinite" in told


def test_the_weight_of_the_clean_gradient_and_smoothing_are_saved(tmp_path):
    mixing = MixModel(network(), SaliencyMixLayer(num_classes=3), clean_weight=0.25, smoothing=[1.0, 0.5])
    mixing.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert (loaded.clean_weight, list(loaded.smoothing)) == (0.25, [1.0, 0.5])


@pytest.mark.parametrize("size", [0.8, [1.0, 0.0]], ids=str)
def test_saliency_is_smoothed_where_that_is_asked_for(size):
    mixing = MixModel(network(), MixLayer(blend=SalienceAsRatio(), num_classes=3), smoothing=size)
    mixing.compile("sgd", ENTROPY)
    rough, ours = (
        first_pass.first_pass(mixing, 2, (X, Y, None), with_weights=False, smoothing=each).saliency
        for each in (None, mixing.smoothing)
    )
    sizes = size if isinstance(size, list) else [size, size]
    places = [np.arange(count) for count in X.shape[1:3]]
    # Gaussians as matrices, renormalised at the edges.
    blurs = [np.exp(-0.5 * (np.subtract.outer(p, p) / max(s, 1e-9)) ** 2) for p, s in zip(places, sizes, strict=True)]
    blurs = [blur * (abs(np.subtract.outer(p, p)) <= 3 * s) for blur, p, s in zip(blurs, places, sizes, strict=True)]
    wanted = np.einsum("ip,nij,jq->npq", blurs[0].T, rough, blurs[1].T)
    wanted /= np.outer(blurs[0].sum(axis=1), blurs[1].sum(axis=1))
    np.testing.assert_allclose(ours, wanted, rtol=1e-4, atol=1e-7)


@pytest.mark.as_users_compile
def test_smoothing_reaches_the_step():
    trained = []
    for smoothing in (None, 2.0):
        keras.utils.set_random_seed(0)
        mixing = MixModel(network(), MixLayer(blend=SalienceAsRatio(), num_classes=3), seed=1, smoothing=smoothing)
        mixing.compile(keras.optimizers.SGD(RATE), ENTROPY)
        fit(mixing)
        trained.append(np.array(mixing.trainable_variables[0]))
    assert np.abs(trained[0] - trained[1]).max() > 1e-4


class Adding(keras.layers.Layer):
    def call(self, x):
        self.add_loss(tf.reduce_mean(tf.square(x[:, 0])))
        return x


def adding(clean_weight):
    inputs = keras.Input((4, 5, 2))
    penalty = keras.regularizers.L2(0.1)
    flat = keras.layers.Flatten()(inputs)
    model = keras.Model(inputs, Adding()(keras.layers.Dense(2, kernel_regularizer=penalty)(flat)))
    mixing = MixModel(model, MixLayer(blend=SalienceAsRatio(), num_classes=3), seed=1, clean_weight=clean_weight)
    mixing.compile(keras.optimizers.SGD(RATE))
    return mixing


def test_a_model_that_adds_its_loss_itself_says_by_it_what_is_salient():
    mixing = adding(0.0)
    ours = first_pass.first_pass(mixing, 2, (X, Y, None), with_weights=False, with_added=True).saliency
    kernel, bias = mixing.model.get_weights()
    # Of the mean of squares of the first output: its kernel, times the output, times 2 / batch.
    output = X.reshape(16, -1) @ kernel[:, 0] + bias[0]
    wanted = 2 / 16 * np.abs(output)[:, None, None] * np.linalg.norm(kernel[:, 0].reshape(4, 5, 2), axis=-1)
    np.testing.assert_allclose(ours, wanted, rtol=1e-4)
    assert np.isfinite(fit(mixing).history["loss"][0])
    with pytest.raises(ValueError, match=r"MixModel: clean_weight must be 0 without a loss in compile\(\)"):
        fit(adding(1.0))


def test_bad_arguments_are_refused():
    layer = KMixupLayer(2, num_classes=3)
    with pytest.raises(
        ValueError, match=r"MixModel: clean_weight must be >= 0 and finite\. Received: clean_weight=-1"
    ):
        MixModel(network(), layer, clean_weight=-1)
    message = "MixModel: smoothing must be None for LinearBlend, which takes no saliency.* Received: smoothing=1.0"
    with pytest.raises(ValueError, match=message):
        MixModel(network(), layer, smoothing=1.0)
    with pytest.raises(ValueError, match="MixModel: smoothing must be a number, or one for each of 2 axes"):
        MixModel(network(), SaliencyMixLayer(num_classes=3), smoothing=[1.0])
    for blend in (SaliencyMixLayer, PuzzleMixLayer):
        with pytest.raises(
            TypeError, match=r"saliency must be a callable .*of a model, GradientSaliency\(model, loss\)"
        ):
            blend(num_classes=3, saliency=network())
    with pytest.raises(ValueError, match="KMixupLayer: saliency must be None for LinearBlend, which asks for none"):
        layer(X, Y, saliency=np.ones([16, 4, 5]))
    with pytest.raises(ValueError, match=r"MixModel: jit_compile=True needs .* Give it solver='graph'"):
        compiled(PuzzleMixLayer(num_classes=3), jit_compile=True)
    flat = keras.Sequential([keras.layers.Input((6,)), keras.layers.Dense(3)])
    mixing = MixModel(flat, MixLayer(blend=SalienceAsRatio(), num_classes=3))
    mixing.compile("sgd", ENTROPY)
    with pytest.raises(ValueError, match="MixModel: features must have 2 axes after the batch's"):
        mixing.fit(np.ones([4, 6], np.float32), Y[:4], verbose=0)
