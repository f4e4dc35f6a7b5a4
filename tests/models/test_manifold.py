import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.stats import chisquare

from kmix_tf import (
    CutMixLayer,
    ExponentialWeight,
    KMixupLayer,
    LocalMixupLayer,
    MixLayer,
    MixSchedule,
    MultiMixLayer,
)
from kmix_tf.models.manifold.model import ManifoldMixModel
from kmix_tf.models.manifold.step import draw_place

CROSS_ENTROPY = keras.losses.CategoricalCrossentropy(from_logits=True)


@pytest.fixture
def data():
    generator = np.random.default_rng(0)
    return generator.normal(size=(12, 4)).astype(np.float32), generator.integers(0, 3, 12)


def network():
    """Input, `first`, a residual block that ends in `sum`, `last`, logits."""
    keras.utils.set_random_seed(1)
    inputs = keras.Input((4,), name="features")
    first = keras.layers.Dense(6, activation="tanh", name="first")(inputs)
    inner = keras.layers.Dense(6, activation="tanh", name="inner")(first)
    total = keras.layers.Add(name="sum")([first, inner])
    last = keras.layers.Dense(5, activation="tanh", name="last")(total)
    return keras.Model(inputs, keras.layers.Dense(3, name="logits")(last))


def shallow():
    keras.utils.set_random_seed(2)
    layers = [keras.layers.Dense(5, activation="tanh", use_bias=False, name="hidden")]
    return keras.Sequential([keras.Input((4,)), *layers, keras.layers.Dense(3, use_bias=False)])


# Three steps; XLA writes each program that it compiles into a folder.
STEPS = """
import os, sys
os.environ["XLA_FLAGS"] = f"--xla_dump_to={sys.argv[1]}"
import keras, numpy as np
from kmix_tf import KMixupLayer, ManifoldMixModel
inputs = keras.Input((8, 8, 2))
hidden = keras.layers.Conv2D(4, 3, name="hidden")(inputs)
model = keras.Model(inputs, keras.layers.Dense(3)(keras.layers.Flatten()(hidden)))
mixing = ManifoldMixModel(model, ["hidden"], KMixupLayer(4, solver="graph", num_classes=3), seed=0)
mixing.compile("sgd", keras.losses.CategoricalCrossentropy(from_logits=True), jit_compile=True)
for _ in range(3):
    mixing.train_on_batch(np.random.rand(12, 8, 8, 2).astype("float32"), np.arange(12) % 3)
"""


def mixing(model, layers, mix, seed=5, loss=CROSS_ENTROPY, optimizer=None, **options):
    wrapped = ManifoldMixModel(model, layers, mix, seed=seed)
    wrapped.compile(optimizer or keras.optimizers.SGD(0.5), loss, **options)
    return wrapped


def seed_of(step, seed=5):
    """The seed of a step on one device."""
    return tf.stack([seed, step])


def softmax(logits):
    exponential = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponential / exponential.sum(axis=1, keepdims=True)


def by_hand(x, y, weights, plan, rate=None):
    """Loss, accuracy and gradients of `shallow` mixed at its hidden layer, in float64."""
    x, (first, second) = x.astype(np.float64), [np.asarray(weight, np.float64) for weight in weights]
    partner, ratio = plan.partner.numpy(), plan.ratio.numpy().astype(np.float64)[:, np.newaxis]
    hidden = np.tanh(x @ first)
    targets = ratio * np.eye(3)[y] + (1 - ratio) * np.eye(3)[y][partner]
    mixed = ratio * hidden + (1 - ratio) * hidden[partner]
    count = np.ones(len(x))
    if rate is not None:
        count = np.exp(-rate * np.linalg.norm(hidden - hidden[partner], axis=1))
        count /= count.mean()
    answer = softmax(mixed @ second)
    loss = -(count * (targets * np.log(answer)).sum(axis=1)).mean()
    accuracy = (answer.argmax(axis=1) == targets.argmax(axis=1)).mean()
    to_logits = count[:, np.newaxis] * (answer - targets) / len(x)
    to_mixed = to_logits @ second.T
    to_hidden = ratio * to_mixed
    np.add.at(to_hidden, partner, (1 - ratio) * to_mixed)
    return loss, accuracy, [x.T @ (to_hidden * (1 - hidden**2)), mixed.T @ to_logits]


@pytest.mark.parametrize(
    ("mix", "rate"),
    (
        (KMixupLayer(1, alpha=2.0, num_classes=3, scope="sample"), None),
        (KMixupLayer(4, alpha=2.0, num_classes=3, scope="sample"), None),
        (LocalMixupLayer(2.0, weight=ExponentialWeight(1.5), num_classes=3, scope="sample"), 1.5),
    ),
    ids=("manifold mixup", "matched on hidden features", "weights of hidden distances"),
)
def test_a_step_at_a_hidden_layer_is_what_the_formulas_say(data, mix, rate):
    x, y = data
    wrapped = mixing(shallow(), ["hidden"], mix, metrics=["accuracy"])
    before = wrapped.model.get_weights()
    hidden = np.tanh(x @ before[0])
    plan = mix.plan([hidden], seed_of(0))
    assert not np.array_equal(plan.partner, np.arange(12))
    logs = wrapped.train_on_batch(x, y, return_dict=True)
    loss, accuracy, gradients = by_hand(x, y, before, plan, rate)
    np.testing.assert_allclose(logs["loss"], loss, rtol=1e-5)
    np.testing.assert_allclose(logs["accuracy"], accuracy, rtol=1e-6)
    for new, old, gradient in zip(wrapped.model.get_weights(), before, gradients, strict=True):
        np.testing.assert_allclose(new, old - 0.5 * gradient, atol=2e-6)


def test_mixing_at_the_input_is_input_mixing(data):
    x, y = data
    mix = KMixupLayer(4, num_classes=3)
    wrapped, plain = mixing(network(), ["input"], mix), network()
    plain.compile(keras.optimizers.SGD(0.5), CROSS_ENTROPY)
    for step in range(3):
        wrapped.train_on_batch(x, y)
        plain.train_on_batch(*mix(x, y, seed=seed_of(step)))
    for ours, theirs in zip(wrapped.model.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_gradients_are_those_of_finite_differences(data):
    x, y = data
    mix = KMixupLayer(1, num_classes=3, scope="sample")  # Which mixes whatever the features are.
    places = ["input", "first", "sum", "last"]
    model = network()
    weights = model.get_weights()
    generator = np.random.default_rng(1)
    # A loss at a step's seed, with an optimizer that changes nothing.
    still = mixing(model, places, mix, optimizer=keras.optimizers.SGD(0.0))
    moving = mixing(model, places, mix, optimizer=keras.optimizers.SGD(1.0))
    for _ in range(8):
        direction = [generator.normal(size=weight.shape).astype(np.float32) for weight in weights]
        losses = []
        step = int(still._counter.steps.numpy())
        for size in (1e-2, -1e-2):
            model.set_weights([weight + size * along for weight, along in zip(weights, direction, strict=True)])
            still._counter.steps.assign(step)
            losses.append(float(still.train_on_batch(x, y, return_dict=True)["loss"]))
            still.reset_metrics()
        model.set_weights(weights)
        moving.train_on_batch(x, y)
        slope = sum(
            ((old - new) * along).sum()
            for old, new, along in zip(weights, model.get_weights(), direction, strict=True)
        )
        np.testing.assert_allclose((losses[0] - losses[1]) / 2e-2, slope, rtol=1e-2, atol=2e-3)


# Steps enough for some to mix at the first place and some at the second.
@pytest.mark.parametrize(
    ("options", "steps"),
    [
        ({"k": 1}, 4),
        (
            {
                "k": 3,
                "solver": "graph",
                "weight": ExponentialWeight(1.0),
                "interpolations": 2,
                "probability": 0.7,
            },
            8,
        ),
    ],
    ids=["mixup", "all at once"],
)
@pytest.mark.representatives("steps", [4])
def test_a_compiled_step_equals_one_that_is_not(data, options, steps):
    x, y = data
    mix = KMixupLayer(num_classes=3, **options)
    models = [mixing(network(), ["last", "first"], mix, jit_compile=jit) for jit in (True, False)]
    for _ in range(steps):
        losses = []
        for model in models:
            losses.append(float(model.train_on_batch(x, y, return_dict=True)["loss"]))
            model.reset_metrics()
        np.testing.assert_allclose(*losses, rtol=1e-4)
    for ours, theirs in zip(*(model.model.get_weights() for model in models), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-5)


def test_training_compiles_a_step_once(tmp_path, elsewhere):
    # Through a compiled function of its own, XLA took the seed of each step for a constant.
    elsewhere(STEPS, tmp_path)
    programs = [path.name for path in tmp_path.glob("*before_optimizations.txt") if "step" in path.name]
    assert len(programs) == 1, programs


def test_pairs_at_no_distance_have_a_gradient(data):
    x, y = data
    x = np.repeat(x[:1], 12, axis=0)
    mix = LocalMixupLayer(num_classes=3, weight=ExponentialWeight(1.0))
    wrapped = mixing(network(), ["first", "last"], mix)
    for _ in range(3):
        wrapped.train_on_batch(x, y)
    assert all(np.isfinite(weight).all() for weight in wrapped.get_weights())


def test_each_layer_is_drawn_about_equally_often():
    drawn = tf.function(lambda steps: tf.map_fn(lambda step: draw_place(seed_of(step), 5), steps))
    counts = np.bincount(drawn(tf.range(5000)).numpy(), minlength=5)
    assert len(counts) == 5
    assert chisquare(counts).pvalue > 1e-6  # a false alarm in a million


class Spy(MixLayer):
    """Remembers the width of what it mixes, when run eagerly."""

    widths = ()

    def call(self, x, y=None, sample_weight=None, training=None, seed=None, step=None):
        if training:
            self.widths = [*self.widths, x.shape[-1]]
        return super().call(x, y, sample_weight, training=training, seed=seed, step=step)


def test_a_step_mixes_once_at_the_layer_drawn(data):
    x, y = data
    spy = Spy(num_classes=3)
    wrapped = mixing(network(), ["last", "sum", "input"], spy, run_eagerly=True)
    for _ in range(20):
        wrapped.train_on_batch(x, y)
    widths = [4, 6, 5]  # in the order of the model, not of the list
    assert spy.widths == [widths[int(draw_place(seed_of(step), 3))] for step in range(20)]
    assert set(spy.widths) == {4, 5, 6}


class Counting(keras.layers.Layer):
    """Counts its runs in training, and adds a loss of 1/4."""

    def build(self, input_shape):
        self.runs = self.add_weight(name="runs", shape=(), initializer="zeros", trainable=False)

    def call(self, x, training=None):
        if training:
            self.runs.assign(self.runs + 1.0)
        self.add_loss(tf.constant(0.25))
        return x


def test_every_layer_runs_once_a_step_and_its_losses_count_once(data):
    x, y = data
    inputs = keras.Input((4,))
    layers = [Counting(name=f"count{i}") for i in range(3)]
    outputs = keras.layers.Dense(3, kernel_regularizer=keras.regularizers.L2(0.1))(
        layers[2](layers[1](layers[0](inputs)))
    )
    wrapped = mixing(keras.Model(inputs, outputs), ["input", "count0", "count1", "count2"], MixLayer(num_classes=3))
    for step in range(6):
        kernel, bias = [weight for weight in wrapped.model.get_weights() if weight.ndim]
        logs = wrapped.train_on_batch(x, y, return_dict=True)
        wrapped.reset_metrics()
        # The layers but the last compute nothing, so mixing anywhere is mixing at the input.
        mixed, targets = MixLayer(num_classes=3)(x, y, seed=seed_of(step))
        plain = CROSS_ENTROPY(targets, mixed @ kernel + bias)
        np.testing.assert_allclose(logs["loss"], plain + 0.75 + 0.1 * np.square(kernel).sum(), rtol=1e-5)
    assert [float(layer.runs) for layer in layers] == [6, 6, 6]


def test_batch_statistics_are_updated_once_a_step(data):
    x, y = data
    inputs = keras.Input((4,))
    hidden = keras.layers.BatchNormalization(momentum=0.5, name="norm")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(3, name="out")(hidden))
    wrapped = mixing(model, ["norm"], KMixupLayer(2, num_classes=3))
    wrapped.train_on_batch(x, y)
    np.testing.assert_allclose(model.get_layer("norm").moving_mean, x.mean(axis=0) / 2, atol=1e-6)


def test_fit_takes_all_that_it_takes(data):
    x, y = data
    seen = []
    wrapped = mixing(
        network(), ["input", "sum"], MultiMixLayer(2, num_classes=3), steps_per_execution=2, metrics=["accuracy"]
    )
    history = wrapped.fit(
        x,
        y,
        batch_size=5,
        epochs=2,
        verbose=0,
        class_weight={0: 1.0, 1: 2.0, 2: 0.5},
        validation_data=(x, y),
        callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(epoch))],
    ).history
    assert seen == [0, 1]
    plain = softmax(wrapped.predict(x, verbose=0).astype(np.float64))
    np.testing.assert_allclose(history["val_accuracy"][-1], (plain.argmax(axis=1) == y).mean(), rtol=1e-6)
    np.testing.assert_allclose(history["val_loss"][-1], -np.log(plain[np.arange(12), y]).mean(), rtol=1e-5)
    assert np.isfinite(history["loss"]).all()


def test_sample_weights_are_mixed_as_targets_are(data):
    x, y = data
    mix, weight = KMixupLayer(1, num_classes=3, scope="sample"), np.linspace(0, 2, 12).astype(np.float32)
    wrapped = mixing(shallow(), ["hidden"], mix)
    first, second = wrapped.model.get_weights()
    hidden, targets, weights = mix(np.tanh(x @ first), y, weight, seed=seed_of(0))
    logs = wrapped.train_on_batch(x, y, sample_weight=weight, return_dict=True)
    np.testing.assert_allclose(logs["loss"], CROSS_ENTROPY(targets, hidden @ second, weights), rtol=1e-5)


@pytest.mark.parametrize("jit", [False, True], ids=["plain", "compiled"])
@pytest.mark.parametrize("one_for_all", [False, True], ids=["each", "one for all"])
def test_places_may_differ_in_whether_weights_are_of_places(jit, one_for_all):
    # Maps are pasted at the input and mixed linearly in between, where a weight is of the whole mixture.
    generator = np.random.default_rng(4)
    x, own = generator.normal(size=(6, 8, 8, 2)).astype(np.float32), np.array([0.5, 2, 1, 3, 0, 1], np.float32)
    labels, maps = generator.integers(0, 2, 6), generator.integers(0, 3, (6, 8, 8))
    y = {"map": np.eye(3, dtype=np.float32)[maps], "label": np.eye(2, dtype=np.float32)[labels]}
    inputs = keras.Input((8, 8, 2))
    hidden = keras.layers.Conv2D(4, 3, padding="same", name="hidden")(inputs)
    label = keras.layers.Dense(2)(keras.layers.Flatten()(hidden))
    outputs = {"map": keras.layers.Dense(3)(hidden), "label": label}
    model = keras.Model(inputs, outputs)
    parts = {"input": (lambda x: x, model), "hidden": (keras.Model(inputs, hidden), keras.Model(hidden, outputs))}
    mixes = {"input": CutMixLayer(scope="sample"), "hidden": KMixupLayer(1, scope="sample")}
    wrapped = ManifoldMixModel(model, list(mixes), mixes, seed=5)
    wrapped.compile(keras.optimizers.SGD(0.0), dict.fromkeys(y, CROSS_ENTROPY), jit_compile=jit)
    places = set()
    for step in range(6):
        place = ["input", "hidden"][int(draw_place(seed_of(step), 2))]
        before, after = parts[place]
        mixed, targets, weights = mixes[place](before(x), y, dict.fromkeys(y, own), seed=seed_of(step))
        predictions = after(mixed)
        total = sum(
            float(CROSS_ENTROPY(targets[name], predictions[name], _of_map(weights[name], targets[name])))
            for name in y
        )
        given = own if one_for_all else dict.fromkeys(y, own)
        logs = wrapped.train_on_batch(x, y, sample_weight=given, return_dict=True)
        np.testing.assert_allclose(logs["loss"], total, rtol=1e-4)
        places.add(place)
    assert len(places) == 2


def _of_map(weight, target):
    return tf.reshape(weight, [*weight.shape, *[1] * (len(target.shape) - 1 - len(weight.shape))])


def test_named_inputs_and_several_outputs_of_which_one_is_hidden(data):
    x, y = data
    keras.utils.set_random_seed(3)
    inputs = {name: keras.Input((4,), name=name) for name in ("a", "b")}
    joined = keras.layers.Concatenate(name="joined")([inputs["a"], inputs["b"]])
    hidden = keras.layers.Dense(3, name="hidden")(joined)
    model = keras.Model(inputs, {"hidden": hidden, "out": keras.layers.Dense(2, name="out")(hidden)})
    mix = KMixupLayer(2)
    wrapped = mixing(model, ["input", "joined", "hidden"], mix, loss={"hidden": "mse", "out": "mse"})
    x, y = {"a": x, "b": -x}, {"hidden": np.eye(3, dtype=np.float32)[y], "out": np.ones([12, 2], np.float32)}
    history = wrapped.fit(x, y, batch_size=4, epochs=3, verbose=0, validation_data=(x, y)).history
    assert {"loss", "hidden_loss", "out_loss", "val_loss"} <= set(history)
    assert history["val_loss"][-1] < history["val_loss"][0]
    np.testing.assert_allclose(wrapped.predict(x, verbose=0)["out"], model.predict(x, verbose=0)["out"])


def test_boxes_of_feature_maps_are_pasted_in_mixed_precision():
    policy = keras.mixed_precision.global_policy() if hasattr(keras.mixed_precision, "global_policy") else "float32"
    keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        inputs = keras.Input((8, 8, 1))
        maps = keras.layers.Conv2D(2, 3, name="maps")(inputs)
        pooled = keras.layers.GlobalAveragePooling2D(name="pooled")(maps)
        model = keras.Model(inputs, keras.layers.Dense(3, dtype="float32")(pooled))
        wrapped = mixing(model, ["maps"], CutMixLayer(num_classes=3), optimizer="adam")
    finally:
        keras.mixed_precision.set_global_policy(policy)
    x, y = np.random.default_rng(0).normal(size=(20, 8, 8, 1)).astype(np.float32), np.arange(20) % 3
    history = wrapped.fit(x, y, batch_size=8, epochs=2, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert maps.dtype == "float16"


def test_a_schedule_is_told_the_step(data):
    x, y = data
    schedule = MixSchedule(steps_per_epoch=2, off_after=1)
    wrapped, plain = mixing(network(), ["input", "sum"], MixLayer(num_classes=3, schedule=schedule)), network()
    plain.compile(keras.optimizers.SGD(0.5), CROSS_ENTROPY)
    for _ in range(2):
        wrapped.train_on_batch(x, y)
    plain.set_weights(wrapped.model.get_weights())
    wrapped.train_on_batch(x, y)
    plain.train_on_batch(x, np.eye(3, dtype=np.float32)[y])
    for ours, theirs in zip(wrapped.model.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_the_wrapped_model_stays_what_it_was(data):
    x, _ = data
    model = network()
    config, answer, output = model.get_config(), model.predict(x, verbose=0), model.get_layer("last").output
    wrapped = ManifoldMixModel(model, ["input", "sum"], KMixupLayer(num_classes=3))
    assert model.get_config() == config
    assert model.get_layer("last").output is output
    np.testing.assert_array_equal(wrapped.predict(x, verbose=0), answer)
    np.testing.assert_array_equal(keras.Model(model.input, output).predict(x, verbose=0).shape, [12, 5])
    assert len(wrapped.trainable_weights) == len(model.trainable_weights)
    assert wrapped.count_params() == model.count_params() + 1  # the count of steps


@pytest.mark.as_users_compile
def test_a_mix_on_the_host_is_not_compiled():
    wrapped = ManifoldMixModel(network(), ["sum"], KMixupLayer(4))
    with pytest.raises(ValueError, match=r"ManifoldMixModel: jit_compile=True needs .* Give it solver='graph'"):
        wrapped.compile("sgd", "mse", jit_compile=True)
    wrapped.compile("sgd", "mse")
    assert not wrapped.jit_compile
    assert not wrapped.supports_jit


def test_an_embedding_of_the_mix_is_not_trained(data):
    x, y = data
    embedding = keras.Sequential([keras.Input((6,)), keras.layers.Dense(2)])
    before = embedding.get_weights()
    mix = LocalMixupLayer(num_classes=3, embedding=embedding, weight=ExponentialWeight(1.0))
    wrapped = mixing(network(), ["sum"], mix)
    wrapped.train_on_batch(x, y)
    np.testing.assert_array_equal(embedding.get_weights()[0], before[0])
    assert len(wrapped.trainable_variables) == len(wrapped.model.trainable_variables)


def test_features_alone_are_refused_in_the_words_of_the_mix(data):
    wrapped = mixing(network(), ["sum"], KMixupLayer(2))
    with pytest.raises(ValueError, match="KMixupLayer: targets must come with the features"):
        wrapped.train_on_batch(data[0])


def test_a_model_called_on_a_batch_and_one_without_an_input_work_alike(data):
    x, y = data
    model = keras.Sequential([keras.layers.Dense(5, name="hidden"), keras.layers.Dense(3)])
    model(x[:3])
    wrapped = mixing(model, ["hidden"], MultiMixLayer(3, num_classes=3))
    assert np.isfinite(wrapped.fit(x, y, batch_size=5, verbose=0).history["loss"]).all()
