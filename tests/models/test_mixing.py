"""MixModel: a training step on mixtures, and everything else as without."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from kmix_tf import (
    CutMixBlend,
    ExponentialWeight,
    KMixupLayer,
    LocalMixupLayer,
    LocalMixupLoss,
    MixAccuracy,
    MixLayer,
    MixModel,
    MixSchedule,
    MultiMixLayer,
    mix,
)

IS_KERAS_3 = keras.__version__.startswith("3")
RNG = np.random.default_rng(9)
X = RNG.normal(size=(32, 4, 5, 1)).astype(np.float32)
Y = RNG.integers(0, 3, 32)
ENTROPY = keras.losses.CategoricalCrossentropy(from_logits=True)


def network(seed=0, units=3, dtype=None):
    keras.utils.set_random_seed(seed)
    layers = keras.layers
    return keras.Sequential(
        [
            layers.Input((4, 5, 1)),
            layers.Conv2D(2, 3, activation="relu", dtype=dtype),
            layers.Flatten(dtype=dtype),
            layers.Dense(units, dtype=dtype),
        ]
    )


def compiled(layer, seed=1, model=None, **options):
    mixing = MixModel(model or network(), layer, seed=seed)
    mixing.compile(**{"optimizer": keras.optimizers.SGD(0.1), "loss": ENTROPY, **options})
    return mixing


def graph_layer(**options):
    return KMixupLayer(4, solver="graph", num_classes=3, **options)


def seeds_of(mixing, steps):
    """The seeds that the model will draw, read off a copy of its counter."""
    copy = MixModel(network(), graph_layer(), seed=mixing.get_config()["seed"])
    return [copy._counter.next() for _ in range(steps)]


LAYERS = {
    "k-mixup": graph_layer,
    "host": lambda: KMixupLayer(4, num_classes=3),
    "multi-mix": lambda: MultiMixLayer(3, num_classes=3),
    "local": lambda: LocalMixupLayer(num_classes=3),
    "cutmix": lambda: graph_layer(blend=CutMixBlend(), interpolations=2, weight=ExponentialWeight(0.1)),
    "scheduled": lambda: graph_layer(schedule=MixSchedule(2, warmup=1), probability=0.9),
}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.representatives("name", ["host", "cutmix", "scheduled"])
def test_steps_are_those_of_a_loop_by_hand_on_mixtures(name):
    layer = LAYERS[name]()
    mixing = compiled(layer)
    history = mixing.fit(X, Y, batch_size=16, epochs=2, shuffle=False, verbose=0).history
    plain, optimizer = network(), keras.optimizers.SGD(0.1)
    losses = []
    for (step, seed), rows in zip(seeds_of(mixing, 4), [slice(0, 16), slice(16, 32)] * 2, strict=True):
        x, y, *weight = layer(X[rows], Y[rows], seed=seed, step=step)
        with tf.GradientTape() as tape:
            each = tf.nn.softmax_cross_entropy_with_logits(y, plain(x, training=True))
            loss = tf.reduce_mean(each * (weight[0] if weight else 1.0))
        losses.append(float(loss))
        gradients = tape.gradient(loss, plain.trainable_variables)
        optimizer.apply_gradients(zip(gradients, plain.trainable_variables, strict=True))
    for ours, theirs in zip(mixing.model.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(history["loss"], [np.mean(losses[:2]), np.mean(losses[2:])], rtol=1e-4)


@pytest.mark.parametrize("name", [name for name in LAYERS if name != "host"])
@pytest.mark.representatives("name", ["cutmix"])
def test_a_compiled_step_equals_a_plain_one(name):
    weights = []
    for jit in (False, True):
        mixing = compiled(LAYERS[name](), jit_compile=jit)
        mixing.fit(X, Y, batch_size=16, shuffle=False, verbose=0)
        weights.append(mixing.model.get_weights())
    for ours, theirs in zip(*weights, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_a_host_solver_cannot_be_compiled_and_is_not_unless_asked():
    with pytest.raises(ValueError, match=r"MixModel: jit_compile=True needs .*solver='host'.*Give it solver='graph'"):
        compiled(KMixupLayer(4, num_classes=3), jit_compile=True).fit(X, Y, verbose=0)
    if IS_KERAS_3:
        mixing = compiled(KMixupLayer(4, num_classes=3), jit_compile="auto")
        assert not mixing.jit_compile
        mixing.fit(X, Y, verbose=0)


def test_evaluation_and_prediction_are_the_plain_models():
    mixing = compiled(graph_layer(), metrics=["categorical_accuracy"])
    plain = mixing.model
    plain.compile(loss=ENTROPY, metrics=["categorical_accuracy"])
    expected = plain.evaluate(X, np.eye(3)[Y], verbose=0)
    for labels in (Y, np.eye(3)[Y]):
        np.testing.assert_allclose(mixing.evaluate(X, labels, verbose=0), expected, rtol=1e-5)
    assert (mixing.predict(X, verbose=0) == plain.predict(X, verbose=0)).all()
    assert (mixing(X).numpy() == plain(X).numpy()).all()


def test_the_wrapped_model_shares_its_weights_and_is_left_as_it_was():
    plain = network()
    mixing = compiled(graph_layer(), model=plain)
    before = plain.get_weights()
    mixing.fit(X, Y, verbose=0)
    assert not np.allclose(before[0], plain.get_weights()[0])
    assert len(mixing.trainable_variables) == len(plain.trainable_variables)
    plain.compile("sgd", ENTROPY)
    plain.fit(X, np.eye(3)[Y], verbose=0)
    assert (mixing.predict(X, verbose=0) == plain.predict(X, verbose=0)).all()


@pytest.mark.as_users_compile
def test_what_fit_offers_works():
    class Epochs(keras.callbacks.Callback):
        seen = 0

        def on_epoch_end(self, epoch, logs=None):
            self.seen += 1
            assert {"loss", "val_loss", "mix_accuracy"} <= set(logs)

    callback = Epochs()
    mixing = compiled(graph_layer(), metrics=[MixAccuracy()], weighted_metrics=["accuracy"], steps_per_execution=2)
    history = mixing.fit(
        X,
        Y,
        sample_weight=np.linspace(0, 1, 32),
        validation_data=(X, Y),
        callbacks=[callback, keras.callbacks.EarlyStopping(patience=9)],
        batch_size=8,
        epochs=2,
        verbose=0,
    ).history
    assert callback.seen == 2
    assert np.isfinite(history["loss"]).all()
    mixing.fit(X, Y, class_weight={0: 1.0, 1: 0.0, 2: 2.0}, verbose=0)


def test_class_weights_are_weights_of_the_samples():
    class_weight = {0: 1.0, 1: 0.5, 2: 3.0}
    by_class, by_sample = compiled(graph_layer()), compiled(graph_layer())
    by_class.fit(X, Y, class_weight=class_weight, shuffle=False, verbose=0)
    by_sample.fit(X, Y, sample_weight=np.array([class_weight[y] for y in Y]), shuffle=False, verbose=0)
    for ours, theirs in zip(by_class.get_weights(), by_sample.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.skipif(not IS_KERAS_3, reason="Keras 2 has no gradient accumulation")
def test_gradients_accumulate_over_mixtures():
    mixing = compiled(graph_layer(), optimizer=keras.optimizers.SGD(0.1, gradient_accumulation_steps=2))
    before = mixing.model.get_weights()
    mixing.fit(X[:8], Y[:8], batch_size=8, verbose=0)
    assert (mixing.model.get_weights()[0] == before[0]).all()
    mixing.fit(X[:8], Y[:8], batch_size=8, verbose=0)
    assert (mixing.model.get_weights()[0] != before[0]).any()


def test_packed_targets_train_with_the_loss_for_them():
    layer = LocalMixupLayer(weight=ExponentialWeight(0.2), targets="packed")
    loss = LocalMixupLoss(keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    packed = compiled(layer, loss=loss, metrics=[MixAccuracy()])
    mixed = compiled(LocalMixupLayer(weight=ExponentialWeight(0.2), num_classes=3))
    for mixing in (packed, mixed):
        mixing.fit(X, Y, batch_size=16, shuffle=False, verbose=0, validation_data=(X, Y))
    for ours, theirs in zip(packed.model.get_weights(), mixed.model.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_several_inputs_and_outputs_are_mixed_in_the_step():
    inputs = {"image": keras.Input((4, 5, 1), name="image"), "table": keras.Input((2,), name="table")}
    joined = keras.layers.Concatenate()([keras.layers.Flatten()(inputs["image"]), inputs["table"]])
    outputs = {
        "class": keras.layers.Dense(3, name="class")(joined),
        "size": keras.layers.Dense(1, name="size")(joined),
    }
    layer = LocalMixupLayer(num_classes={"class": 3, "size": None}, match_on="table")
    mixing = MixModel(keras.Model(inputs, outputs), layer, seed=1)
    mixing.compile("sgd", {"class": ENTROPY, "size": "mse"})
    x = {"image": X, "table": X[:, 0, :2, 0]}
    y = {"class": Y, "size": X[:, 0, 0, 0]}
    data = tf.data.Dataset.from_tensor_slices((x, y)).batch(10)
    history = mixing.fit(data, validation_data=data, epochs=2, verbose=0).history
    assert np.isfinite([history["loss"], history["val_loss"]]).all()
    assert set(mixing.predict(x, verbose=0)) == {"class", "size"}


def test_half_precision_models_train_compiled():
    mixing = compiled(graph_layer(), model=network(dtype="mixed_bfloat16"), jit_compile=True)
    history = mixing.fit(X, Y, batch_size=16, epochs=2, verbose=0).history
    assert np.isfinite(history["loss"]).all()


def test_steps_draw_anew_and_a_seed_repeats_them():
    def trained(seed, epochs):
        mixing = compiled(graph_layer(), seed)
        mixing.fit(X, Y, batch_size=16, epochs=epochs, shuffle=False, verbose=0)
        return mixing.model.get_weights()[0]

    assert (trained(1, 2) == trained(1, 2)).all()
    assert not np.allclose(trained(1, 2), trained(2, 2))
    mixing = compiled(graph_layer())
    assert len({tuple(seed.numpy()) for _, seed in seeds_of(mixing, 500)}) == 500


def test_the_layers_seed_is_the_default_and_kerass_governs_the_rest():
    assert MixModel(network(), graph_layer(seed=7)).get_config()["seed"] == 7
    drawn = []
    for seed in (5, 5, 6):
        keras.utils.set_random_seed(seed)
        drawn.append(MixModel.from_config(MixModel(network(seed), graph_layer()).get_config()).get_config()["seed"])
    assert drawn[0] == drawn[1] != drawn[2]


def test_a_model_saved_in_training_goes_on_in_another_process_as_if_it_had_not_stopped(tmp_path, elsewhere):
    mixing = compiled(graph_layer())
    mixing.fit(X, Y, batch_size=16, shuffle=False, verbose=0)
    mixing.save(tmp_path / "model.keras")
    np.savez(tmp_path / "data.npz", x=X, y=Y)
    mixing.fit(X, Y, batch_size=16, shuffle=False, verbose=0)
    program = """
import sys, json, keras, numpy as np
import kmix_tf
model = keras.models.load_model(sys.argv[1] + "/model.keras")
data = np.load(sys.argv[1] + "/data.npz")
model.fit(data["x"], data["y"], batch_size=16, shuffle=False, verbose=0)
np.save(sys.argv[1] + "/answer.npy", model.predict(data["x"], verbose=0))
"""
    elsewhere(program, tmp_path)
    np.testing.assert_allclose(np.load(tmp_path / "answer.npy"), mixing.predict(X, verbose=0), rtol=1e-4, atol=1e-5)


def test_an_export_serves_where_the_package_is_not_and_calls_no_host(tmp_path, elsewhere):
    mixing = compiled(KMixupLayer(4, num_classes=3))
    mixing.fit(X, Y, verbose=0)
    mixing.export(str(tmp_path / "model"))
    np.savez(tmp_path / "data.npz", x=X, answer=mixing.predict(X, verbose=0))
    program = """
import sys, numpy as np, tensorflow as tf
sys.modules["kmix_tf"] = None
served = tf.saved_model.load(sys.argv[1] + "/model")
data = np.load(sys.argv[1] + "/data.npz")
for size in (1, 7, 32):
    np.testing.assert_allclose(served.serve(data["x"][:size]), data["answer"][:size], rtol=1e-4, atol=1e-5)
"""
    elsewhere(program, tmp_path)
    assert b"PyFunc" not in (tmp_path / "model" / "saved_model.pb").read_bytes()


REPLICAS = """
import sys, json, numpy as np, tensorflow as tf, keras
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)
from kmix_tf import LocalMixupLayer, MixLayer, MixModel, BetaRatio, ThresholdWeight
rng = np.random.default_rng(0)
x = rng.normal(size=(16, 6)).astype("float32")
y = rng.integers(0, 3, 16)

def made(ratio, strategy=None):
    def make():
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.layers.Input((6,)), keras.layers.Dense(3)])
        mixing = MixModel(model, MixLayer(ratio=ratio, num_classes=3), seed=1)
        mixing.compile(keras.optimizers.SGD(0.5), keras.losses.CategoricalCrossentropy(from_logits=True))
        return mixing
    if strategy is None:
        return make()
    with strategy.scope():
        return make()

def trained(mixing, weight):
    data = tf.data.Dataset.from_tensor_slices((x, y, weight)).batch(16)
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    history = mixing.fit(data.with_options(options), epochs=3, verbose=0).history
    return mixing.model.get_weights(), history["loss"], int(tf.convert_to_tensor(mixing._counter.steps))

strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
weight = np.linspace(0, 2, 16).astype("float32")
alone = trained(made(BetaRatio(0.0)), weight)
both = trained(made(BetaRatio(0.0), strategy), weight)
for ours, theirs in zip(alone[0], both[0]):
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
np.testing.assert_allclose(alone[1], both[1], rtol=1e-5)
assert alone[2] == both[2] == 3, (alone[2], both[2])

# Replicas are given the same rows, and must mix them differently.
mixing = made(BetaRatio(1.0, "sample"), strategy)

@tf.function
def draw():
    def one():
        step, seed = mixing._counter.next()
        return mixing.layer(x[:8], y[:8], seed=seed)[1]
    return strategy.run(one)

first, second = strategy.experimental_local_results(draw())
assert not np.allclose(first, second)
assert int(tf.convert_to_tensor(mixing._counter.steps)) == 1

# One step on mixtures is that of one device on both replicas' mixtures, made by hand of the seeds they were given.
mixing = made(BetaRatio(1.0, "sample"), strategy)
seeds = strategy.experimental_local_results(strategy.run(tf.function(lambda: mixing._counter.next()[1])))
mixing = made(BetaRatio(1.0, "sample"), strategy)
plain = made(BetaRatio(1.0, "sample")).model
with tf.GradientTape() as tape:
    losses = []
    for seed, rows in zip(seeds, (slice(0, 8), slice(8, 16))):
        mixed_x, mixed_y, mixed_weight = mixing.layer(x[rows], y[rows], weight[rows], seed=seed)
        losses += [mixed_weight * tf.nn.softmax_cross_entropy_with_logits(mixed_y, plain(mixed_x))]
    loss = tf.reduce_mean(tf.concat(losses, 0))
expected = [w - 0.5 * g for w, g in zip(plain.get_weights(), tape.gradient(loss, plain.trainable_variables))]
data = tf.data.Dataset.from_tensors((x, y, weight))
options = tf.data.Options()
options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
history = mixing.fit(data.with_options(options), verbose=0).history
for ours, theirs in zip(mixing.model.get_weights(), expected):
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
np.testing.assert_allclose(history["loss"], [float(loss)], rtol=1e-5)
"""


def test_two_replicas_train_as_one_device_and_draw_differently(elsewhere):
    # Without mixing the update must be that of one device on the whole batch; with it, replicas mix their own parts.
    elsewhere(REPLICAS)


@pytest.mark.parametrize("value", [None, "model", keras.layers.Dense(1), network])
def test_only_models_are_wrapped(value):
    with pytest.raises(TypeError, match=r"MixModel: model must be a Keras model. Received: model="):
        MixModel(value, MixLayer())


def test_models_that_are_not_built_are_refused():
    with pytest.raises(ValueError, match=r"MixModel: model must be built.*Received: .*which is not.*keras.Input"):
        MixModel(keras.Sequential([keras.layers.Dense(2)]), MixLayer())


@pytest.mark.parametrize("value", [None, "mixup", keras.layers.Dense(1), MixLayer])
def test_only_mixing_layers_are_taken(value):
    with pytest.raises(TypeError, match=r"MixModel: layer must be a MixLayer such as .*Received: layer="):
        MixModel(network(), value)


@pytest.mark.parametrize("seed", [-1, 1.5, True, "1"])
def test_other_seeds_are_refused(seed):
    with pytest.raises(ValueError, match=r"MixModel: seed must be an integer >= 0. Received: seed="):
        MixModel(network(), MixLayer(), seed=seed)


def test_a_model_that_is_not_compiled_is_not_trained():
    with pytest.raises((ValueError, RuntimeError), match="compile"):
        MixModel(network(), graph_layer()).fit(X, Y, verbose=0)


def test_integer_labels_without_classes_are_refused_in_the_step():
    with pytest.raises(ValueError, match="KMixupLayer: integer labels need num_classes"):
        compiled(KMixupLayer(4)).fit(X, Y, verbose=0)


@pytest.mark.parametrize(
    "loss",
    [
        "sparse_categorical_crossentropy",
        keras.losses.SparseCategoricalCrossentropy(),
        keras.losses.sparse_categorical_crossentropy,
        {"out": "sparse_categorical_crossentropy"},
    ],
    ids=["name", "object", "function", "nested"],
)
def test_losses_of_integer_labels_are_refused_for_mixed_ones(loss):
    message = r"MixModel: loss must take soft labels.*Received: .*parse.*Use CategoricalCrossentropy"
    with pytest.raises(ValueError, match=message):
        MixModel(network(), graph_layer()).compile("sgd", loss)
    if not isinstance(loss, dict):
        MixModel(network(), LocalMixupLayer(targets="packed")).compile("sgd", LocalMixupLoss(loss))


def line():
    """The three-point line of the data dependency paper: classes alternate, so that mixing hurts. Where to look."""
    x = np.tile(np.array([[0.0], [0.5], [1.0]], np.float32), (32, 1))
    return x, np.tile([0, 1, 0], 32), np.array([[0.5]], np.float32)


def moons():
    """Two moons, and a point between them."""
    angle = np.random.default_rng(1).uniform(0, np.pi, 48)
    upper, lower = ([np.cos(angle), np.sin(angle)], [1 - np.cos(angle), 0.5 - np.sin(angle)])
    x = np.concatenate([np.stack(upper, 1), np.stack(lower, 1)]).astype(np.float32)
    return x, np.repeat([0, 1], 48), np.array([[0.3, 0.4]], np.float32)


@pytest.mark.parametrize("made", [line, moons])
@pytest.mark.representatives("made", [line])
def test_the_step_and_the_pipeline_train_models_alike(made):
    x, y, where = made()
    data = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(96, seed=0).batch(32)

    def network(seed):
        keras.utils.set_random_seed(seed)
        layers = keras.layers
        return keras.Sequential([layers.Input((x.shape[1],)), layers.Dense(16, activation="tanh"), layers.Dense(2)])

    def margins(in_step):
        # One model for all runs, so that it is compiled once; plain gradient descent remembers nothing of a run.
        plain, layer = network(0), MixLayer(num_classes=2)
        model = MixModel(plain, layer, seed=0) if in_step else plain
        model.compile(keras.optimizers.SGD(0.5), ENTROPY)
        for seed in range(6):
            plain.set_weights(network(seed).get_weights())
            # The counter in the step goes on from run to run; the pipeline gets another seed.
            train = data.repeat() if in_step else data.repeat().apply(mix(layer, seed=seed))
            model.fit(train, steps_per_epoch=100, verbose=0)
            first, second = plain(where)[0]
            yield float(second - first)

    ours, theirs = (np.array(list(margins(in_step))) for in_step in (True, False))
    # Means of six runs each, by Welch's test: a right model fails once in 10,000 choices of seeds.
    assert stats.ttest_ind(ours, theirs, equal_var=False).pvalue > 1e-4
    assert not np.allclose(ours, theirs)  # draws differ
