"""AdaMixupModel: intervals, what a step learns by NumPy and by tapes of its own, and that it learns to mix less."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from kmix_tf import (
    AdaMixupModel,
    BetaRatio,
    CutMixLayer,
    ExponentialWeight,
    KMixupLayer,
    LocalMixupLayer,
    LocalMixupLoss,
    MixLayer,
    MultiMixLayer,
    RandomPairing,
    RepeatedPairing,
    ThresholdWeight,
)
from kmix_tf.mixing.watch import watching
from kmix_tf.seeding import mix_seeds, random_uniform

IS_KERAS_3 = keras.__version__.startswith("3")
RNG = np.random.default_rng(3)
X = RNG.normal(size=(16, 5)).astype(np.float32)
IMAGES = RNG.normal(size=(16, 8, 6, 2)).astype(np.float32)
Y = np.arange(16) % 3
ENTROPY = keras.losses.CategoricalCrossentropy(from_logits=True)
RATE = 0.5
LOGITS = (0.3, -0.4, 1.1)


def network(dtype=None, norm=False, units=3, seed=0):
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((5,))
    x = keras.layers.Dense(4, "tanh", name="hidden", dtype=dtype)(inputs)
    x = keras.layers.BatchNormalization(dtype=dtype)(x) if norm else x
    x = keras.layers.Dense(units, name="logits", dtype=dtype)(x)
    return keras.Model(inputs, keras.layers.Activation("linear", dtype="float32")(x))


def of_images(dtype=None, sizes=(8, 6)):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((*sizes, 2))
    x = keras.layers.Conv2D(4, 3, 2, padding="same", dtype=dtype)(inputs)
    x = keras.layers.BatchNormalization(name="maps", dtype=dtype)(x)
    x = keras.layers.GlobalAveragePooling2D(dtype=dtype)(x)
    return keras.Model(inputs, keras.layers.Dense(3, dtype=dtype)(x))


def policy_of(logits=LOGITS, shape=(5,), scale=0.0):
    """Says the same of all pairs, or with a scale different things."""
    sides = [keras.Input(shape), keras.Input(shape)]
    x = keras.layers.Flatten()(keras.layers.Concatenate()(sides))
    kernel = keras.initializers.RandomNormal(stddev=scale, seed=5)
    bias = keras.initializers.Constant(0.0)
    model = keras.Model(sides, keras.layers.Dense(3, kernel_initializer=kernel, bias_initializer=bias)(x))
    kernel, _ = model.get_weights()
    model.set_weights([kernel, np.asarray(logits, np.float32)])
    return model


def telling(shape=(4,)):
    keras.utils.set_random_seed(9)
    inputs = keras.Input(shape)
    return keras.Model(inputs, keras.layers.Dense(1)(keras.layers.Flatten()(inputs)))


def compiled(layer=None, model=None, seed=1, loss=ENTROPY, optimizer=None, in_graph=False, jit=False, **options):
    layer = MixLayer(num_classes=3) if layer is None else layer
    mixing = AdaMixupModel(model or network(), layer, seed=seed, **options)
    mixing.compile(optimizer or keras.optimizers.SGD(RATE), loss, jit_compile=jit, run_eagerly=not in_graph)
    return mixing


def weights(model):
    return [np.array(value) for value in model.get_weights()]


def assert_same(ours, theirs, rtol=1e-4, atol=1e-6):
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine, other, rtol=rtol, atol=atol)


def tensors(variables):
    return [getattr(variable, "value", variable) if IS_KERAS_3 else variable for variable in variables]


def first_seed(mixing):
    """The seed of the first step, read off a copy of its counter."""
    return AdaMixupModel(network(), MixLayer(num_classes=3), seed=mixing.get_config()["seed"])._counter.next()[1]


def plan_of(mixing, data, seed):
    with watching() as seen:
        mixed = mixing.mix(data, seed)
    return seen[-1]["drawn"].plan, mixed


def softmax(logits):
    shares = np.exp(logits - np.max(logits, axis=-1, keepdims=True))
    return shares / shares.sum(axis=-1, keepdims=True)


def entropy_of(y, logits):
    return -(y * np.log(softmax(logits))).sum(axis=-1)


# What is drawn


@pytest.mark.parametrize("logits", [LOGITS, (-3.0, 2.0, 0.0), (0.0, 0.0, 0.0)])
@pytest.mark.representatives("logits", [LOGITS])
def test_fixed_logits_give_uniform_ratios_in_their_interval(logits):
    mixing = compiled(policy=policy_of(logits))
    x, y = np.tile(X, [64, 1]), np.tile(Y, 64)
    plan, _ = plan_of(mixing, (x, y, None), seed=7)
    a, b, _ = softmax(np.asarray(logits, np.float64))
    is_mixed = plan.partner.numpy() != np.arange(1024)
    # Kolmogorov and Smirnov: one false alarm in a million.
    assert stats.kstest(plan.ratio.numpy()[is_mixed], stats.uniform(a, b).cdf).pvalue > 1e-6
    low, high = mixing.interval(X, X)
    np.testing.assert_allclose(low, np.full(16, a), rtol=1e-5)
    np.testing.assert_allclose(high, np.full(16, a + b), rtol=1e-5)


def test_each_pair_has_the_interval_that_the_policy_gives_it():
    mixing = compiled(policy=policy_of(scale=0.7))
    plan, _ = plan_of(mixing, (X, Y, None), seed=7)
    partner = plan.partner.numpy()
    kernel, bias = mixing.policy.get_weights()
    a, b, _ = softmax(np.concatenate([X, X[partner]], axis=1) @ kernel + bias).T
    uniform = random_uniform([16], mix_seeds(7).ratio).numpy()
    is_mixed = partner != np.arange(16)
    np.testing.assert_allclose(plan.ratio.numpy()[is_mixed], (a + b * uniform)[is_mixed], rtol=1e-5)
    assert np.ptp(a) > 0.1


@pytest.mark.parametrize("logits", [[200.0, 0.0, 0.0], [0.0, 200.0, -200.0], [-200.0, -200.0, 200.0]])
def test_intervals_at_the_ends_stay_in_range(logits):
    plan, (x, _, _) = plan_of(compiled(policy=policy_of(logits)), (X, Y, None), seed=3)
    ratio = plan.ratio.numpy()
    assert ((ratio >= 0) & (ratio <= 1)).all() and np.isfinite(x).all()
    if logits[0] > 0:
        assert (x.numpy() == X).all()


@pytest.mark.parametrize(
    "layer",
    [
        lambda: MixLayer(RandomPairing(with_itself=True), num_classes=3),
        lambda: MixLayer(num_classes=3, probability=0.0),
        lambda: LocalMixupLayer(num_classes=3, weight=ThresholdWeight(1e-9, far="keep")),
    ],
)
def test_a_sample_that_is_its_own_partner_comes_back_exactly(layer):
    mixing = compiled(layer(), policy=policy_of())
    found = 0
    for seed in range(4):
        plan, (x, y, _) = plan_of(mixing, (X, Y, None), seed)
        alone = plan.partner.numpy() == np.arange(16)
        assert (x.numpy()[alone] == X[alone]).all() and (y.numpy()[alone] == np.eye(3)[Y][alone]).all()
        assert (plan.ratio.numpy()[alone] == 1).all()
        assert not (x.numpy()[~alone] == X[~alone]).any()
        found += alone.sum()
    assert found


def test_several_ratios_of_a_pair_descend_in_one_interval():
    mixing = compiled(MultiMixLayer(3, num_classes=3), policy=policy_of(scale=0.7))
    plan, (x, y, _) = plan_of(mixing, (X, Y, None), seed=5)
    ratio, partner = plan.ratio.numpy(), plan.partner.numpy()
    assert ratio.shape == (3, 16) and (np.diff(ratio, axis=0) < 0)[:, partner != np.arange(16)].all()
    low, high = mixing.interval(X, X[partner])
    assert ((ratio >= low.numpy()) & (ratio <= high.numpy()))[:, partner != np.arange(16)].all()
    share = ratio.reshape(-1, 1)
    np.testing.assert_allclose(x, share * np.tile(X, [3, 1]) + (1 - share) * np.tile(X[partner], [3, 1]), atol=1e-6)
    labels = np.eye(3)[Y]
    by_hand = share * np.tile(labels, [3, 1]) + (1 - share) * np.tile(labels[partner], [3, 1])
    np.testing.assert_allclose(y, by_hand, atol=1e-6)


# What is learnt


def losses_by_numpy(mixing, seed):
    """The losses of mixtures and of the discriminator, of a model with one hidden layer."""
    plan, _ = plan_of(mixing, (X, Y, None), seed)
    partner, share, labels = plan.partner.numpy(), plan.ratio.numpy()[:, None], np.eye(3)[Y]
    mixed, y = share * X + (1 - share) * X[partner], share * labels + (1 - share) * labels[partner]
    first, bias, second, offset = weights(mixing.model)
    kernel, shift = weights(mixing.discriminator)
    hidden, real = np.tanh(mixed @ first + bias), np.tanh(X @ first + bias)
    told, truth = ((each @ kernel + shift)[:, 0] for each in (hidden, real))
    is_mixed = partner != np.arange(16)
    intrusion = np.log1p(np.exp(told))[is_mixed].mean() / 2 + np.log1p(np.exp(-truth)).mean() / 2
    return entropy_of(y, hidden @ second + offset).mean(), intrusion


@pytest.mark.parametrize("with_itself", [False, True])
def test_what_a_step_says_of_a_batch_is_what_numpy_says(with_itself):
    layer = MixLayer(RandomPairing(with_itself=with_itself), num_classes=3)
    mixing = compiled(layer, policy=policy_of(scale=0.7), discriminator=telling())
    of_mixtures, intrusion = losses_by_numpy(mixing, first_seed(mixing))
    plan, _ = plan_of(mixing, (X, Y, None), first_seed(mixing))
    ends = [np.asarray(end) for end in mixing.interval(X, X[plan.partner.numpy()])]
    logs = mixing.train_on_batch(X, Y, return_dict=True)
    np.testing.assert_allclose(logs["loss"], of_mixtures, rtol=1e-4)
    np.testing.assert_allclose(logs["intrusion_loss"], intrusion, rtol=1e-4)
    is_mixed = plan.partner.numpy() != np.arange(16)
    assert is_mixed.all() == (not with_itself)
    np.testing.assert_allclose(logs["mix_low"], ends[0][is_mixed].mean(), rtol=1e-4)
    np.testing.assert_allclose(logs["mix_high"], ends[1][is_mixed].mean(), rtol=1e-4)


@pytest.mark.parametrize("options", [{}, {"clean_weight": 0.3, "intrusion_weight": 0.7}, {"intrusion_weight": 0.0}])
def test_a_step_is_one_down_the_sum_of_the_three_losses(options):
    mixing = compiled(policy=policy_of(scale=0.7), discriminator=telling(), **options)
    seed = first_seed(mixing)
    plan, _ = plan_of(mixing, (X, Y, None), seed)
    uniform = random_uniform([16], mix_seeds(seed).ratio)
    networks = (mixing.model, mixing.policy, mixing.discriminator)
    variables = [variable for each in networks for variable in tensors(each.trainable_weights)]
    labels = tf.one_hot(Y, 3)
    with tf.GradientTape() as tape:
        shares = tf.nn.softmax(mixing.policy([tf.constant(X), tf.gather(X, plan.partner)]))
        ratio = (shares[:, 0] + shares[:, 1] * uniform)[:, None]
        ratio = tf.where((plan.partner == tf.range(16))[:, None], 1.0, ratio)
        x, y = (ratio * leaf + (1 - ratio) * tf.gather(leaf, plan.partner) for leaf in (tf.constant(X), labels))
        features = keras.Model(mixing.model.inputs, mixing.model.get_layer("hidden").output)
        told, truth = (mixing.discriminator(features(side))[:, 0] for side in (x, X))
        is_mixed = tf.cast(plan.partner != tf.range(16), tf.float32)
        intrusion = tf.reduce_sum(tf.nn.softplus(told) * is_mixed) / tf.reduce_sum(is_mixed)
        intrusion = (intrusion + tf.reduce_mean(tf.nn.softplus(-truth))) / 2
        clean = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(labels, mixing.model(X)))
        total = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(y, mixing.model(x)))
        total += options.get("clean_weight", 1.0) * clean + options.get("intrusion_weight", 2.0) * intrusion
    gradients = tape.gradient(total, variables)
    moved = [np.abs(gradient).max() for gradient in gradients]
    assert all(step > 1e-6 or options.get("intrusion_weight") == 0.0 for step in moved)
    expected = [np.array(value) - RATE * gradient for value, gradient in zip(variables, gradients, strict=True)]
    mixing.train_on_batch(X, Y)
    assert_same([np.array(value) for value in variables], expected, rtol=1e-3, atol=1e-5)


def test_the_policy_learns_from_mixtures_alone():
    mixing = compiled(MixLayer(num_classes=3, probability=0.0), policy=policy_of(scale=0.7))
    before = weights(mixing.policy), weights(mixing.model)
    mixing.train_on_batch(X, Y)
    assert_same(weights(mixing.policy), before[0], rtol=0, atol=0)
    assert not np.array_equal(weights(mixing.model)[0], before[1][0])


def test_the_policy_does_not_learn_what_mixtures_count():
    """Of two equal samples that count differently, a mixture is the same at any ratio: there is nothing to learn."""
    mixing = compiled(policy=policy_of(scale=0.7), intrusion_weight=0.0)
    before = weights(mixing.policy)
    mixing.train_on_batch(np.tile(X[:1], [8, 1]), np.zeros(8, int), np.arange(1, 9).astype(np.float32))
    assert_same(weights(mixing.policy), before, atol=1e-6)


def line():
    """The points 0..9 of alternating classes, and a network that can tell them."""
    x = np.tile(np.arange(10, dtype=np.float32)[:, None], [4, 1])
    inputs = keras.Input((1,))
    hidden = keras.layers.Rescaling(1 / 4.5, -1)(inputs)
    for _ in range(2):
        hidden = keras.layers.Dense(64, "relu")(hidden)
    return x, x[:, 0].astype(int) % 2, keras.Model(inputs, keras.layers.Dense(2)(hidden))


def mean_mix(mixing, x, y):
    """The mean of min(ratio, 1 - ratio), of pairs of different points."""
    found = []
    for seed in range(10):
        plan, _ = plan_of(mixing, (x, y, None), seed)
        ratio = plan.ratio.numpy()[x[plan.partner.numpy(), 0] != x[:, 0]]
        found.append(np.minimum(ratio, 1 - ratio).mean())
    return np.mean(found)


@pytest.mark.parametrize("seed", range(3))
def test_on_points_of_alternating_classes_it_learns_to_mix_less_than_mixup(seed):
    keras.utils.set_random_seed(seed)
    x, y, model = line()
    mixing = compiled(MixLayer(num_classes=2), model, seed=seed, optimizer=keras.optimizers.Adam(0.03), in_graph=True)
    assert mean_mix(mixing, x, y) > 0.35
    mixing.fit(np.tile(x, [240, 1]), np.tile(y, 240), batch_size=40, verbose=0)
    # That of plain mixup, whose ratios are uniform, is 1/4.
    assert mean_mix(mixing, x, y) < 0.25


# What it works with

MIXES = {
    "k-mixup": lambda: KMixupLayer(4, num_classes=3),
    "multi-mix": lambda: MultiMixLayer(3, num_classes=3),
    "batch augmentation": lambda: MultiMixLayer(2, num_classes=3, baseline="batch_augmentation"),
    "several partners": lambda: MixLayer(RepeatedPairing(RandomPairing(), 2), num_classes=3),
    "local": lambda: LocalMixupLayer(num_classes=3, weight=ExponentialWeight(0.1)),
    "packed": lambda: LocalMixupLayer(num_classes=3, targets="packed"),
    "class weights": lambda: MixLayer(num_classes=3, class_weight={0: 1.0, 1: 2.0, 2: 0.5}),
}


@pytest.mark.parametrize("name", MIXES)
@pytest.mark.representatives("name", ["multi-mix", "several partners", "packed"])
def test_the_other_decisions_are_free(name):
    loss = LocalMixupLoss(ENTROPY) if name == "packed" else ENTROPY
    mixing = compiled(MIXES[name](), loss=loss)
    before = weights(mixing.policy)
    history = mixing.fit(X, Y, batch_size=5, epochs=2, verbose=0).history
    assert all(np.isfinite(values).all() for values in history.values())
    assert len(mixing.mix((X, Y, None), seed=1)[0]) == 16 * (mixing.layer.mixtures or 1)
    assert not np.array_equal(before[-1], weights(mixing.policy)[-1])


@pytest.mark.parametrize(
    "layer",
    [
        lambda: MixLayer(num_classes=3),
        pytest.param(lambda: MultiMixLayer(2, solver="graph", k=2, num_classes=3), marks=pytest.mark.matrix),
    ],
)
def test_a_compiled_step_equals_a_plain_one(layer):
    after = []
    for jit in (False, True):
        mixing = compiled(layer(), network(norm=True), in_graph=True, jit=jit)
        mixing.fit(X, Y, batch_size=8, shuffle=False, verbose=0)
        after.append(weights(mixing))
    assert_same(*after, rtol=1e-3, atol=1e-5)


@pytest.mark.as_users_compile
@pytest.mark.parametrize("case", ["float16", "uint8", "open sizes", "at", "input", "one sample"])
@pytest.mark.representatives("case", ["float16", "open sizes", "input", "one sample"])
def test_it_trains_on_what_comes(case):
    policy = "mixed_float16" if case == "float16" else None
    model = of_images(policy, (None, None) if case == "open sizes" else (8, 6))
    x = (IMAGES * 40 + 100).clip(0, 255).astype(np.uint8) if case == "uint8" else IMAGES
    at = {"at": "maps", "input": "input"}.get(case)
    mixing = compiled(model=model, in_graph=case != "one sample", at=at)
    before = weights(mixing.policy)
    size = 1 if case == "one sample" else 3
    history = mixing.fit(x[:4], Y[:4], batch_size=size, verbose=0).history
    assert all(np.isfinite(values).all() for values in history.values())
    # Near its beginning a layer that begins with zeros moves first.
    assert np.array_equal(before[-1], weights(mixing.policy)[-1]) == (case == "one sample")
    assert mixing.mix((tf.constant(x[:4]), Y[:4], None), seed=1)[0].dtype == tf.float32


@pytest.mark.parametrize("at", [None, "input"])
def test_an_input_in_a_dictionary(at):
    inputs = keras.Input((5,), name="numbers")
    outputs = keras.layers.Dense(3)(keras.layers.Dense(4)(inputs))
    mixing = compiled(model=keras.Model({"numbers": inputs}, outputs), at=at)
    assert np.isfinite(mixing.train_on_batch({"numbers": X}, Y)).all()


def test_signals_and_dictionaries_of_outputs():
    inputs = keras.Input((12, 2))
    hidden = keras.layers.Flatten(name="flat")(keras.layers.Conv1D(4, 3, 3)(inputs))
    outputs = {
        "first": keras.layers.Dense(3, name="first")(hidden),
        "second": keras.layers.Dense(1, name="second")(hidden),
    }
    mixing = AdaMixupModel(
        keras.Model(inputs, outputs), MixLayer(num_classes={"first": 3, "second": None}), at="flat", seed=1
    )
    mixing.compile("sgd", {"first": ENTROPY, "second": "mse"})
    x = RNG.normal(size=(16, 12, 2)).astype(np.float32)
    history = mixing.fit(x, {"first": Y, "second": X[:, :1]}, verbose=0).history
    assert np.isfinite(history["loss"]).all()


def test_evaluation_prediction_and_export_are_the_plain_models(tmp_path):
    mixing = compiled(model=network(norm=True))
    mixing.train_on_batch(X, Y)
    plain = mixing.model
    plain.compile(loss=ENTROPY)
    np.testing.assert_allclose(
        mixing.evaluate(X, Y, verbose=0), plain.evaluate(X, np.eye(3)[Y], verbose=0), rtol=1e-5
    )
    history = mixing.fit(X, Y, validation_data=(X, Y), verbose=0).history
    assert sorted(history) == ["intrusion_loss", "loss", "mix_high", "mix_low", "val_loss"]
    np.testing.assert_allclose(mixing.predict(X, verbose=0), plain.predict(X, verbose=0), atol=1e-6)
    mixing.export(str(tmp_path / "export"), verbose=False)
    served = tf.saved_model.load(str(tmp_path / "export"))
    np.testing.assert_allclose(served.serve(X), plain(X), atol=1e-5)
    assert sum(np.size(each) for each in served.variables) == sum(np.size(value) for value in weights(plain))


GO_ON = """
import keras
import numpy as np
import kmix_tf

mixing = keras.models.load_model({path!r} + ".keras")
arrays = np.load({path!r} + ".npz")
for _ in range(2):
    mixing.train_on_batch(arrays["x"], arrays["y"])
np.savez({path!r} + "_after.npz", *mixing.get_weights())
"""


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.representatives("own", [True])
def test_training_saved_and_resumed_elsewhere_goes_on_alike(own, tmp_path, elsewhere):
    path = str(tmp_path / "mixing")
    options = {"policy": policy_of(scale=0.7), "discriminator": telling(), "intrusion_weight": 0.5} if own else {}
    mixing = compiled(seed=None, in_graph=True, optimizer=keras.optimizers.SGD(0.1, 0.9), **options)
    for _ in range(2):
        mixing.train_on_batch(X, Y)
    mixing.save(path + ".keras")
    np.savez(path + ".npz", x=X, y=Y)
    elsewhere(GO_ON.format(path=path))
    for _ in range(2):
        mixing.train_on_batch(X, Y)
    assert_same(weights(mixing), np.load(path + "_after.npz").values(), rtol=1e-4, atol=1e-5)


REPLICAS = """
import keras
import numpy as np
import tensorflow as tf
from kmix_tf import AdaMixupModel, MixLayer

devices = [tf.config.LogicalDeviceConfiguration()] * 2
tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], devices)
rng = np.random.default_rng(0)
x, y = rng.normal(size=(16, 5)).astype("float32"), rng.integers(0, 3, 16)
x[8:], y[8:] = x[:8], y[:8]


def trained(strategy, mixed):
    with strategy.scope():
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(4, "tanh"), keras.layers.Dense(3)])
        sides = [keras.Input((5,)), keras.Input((5,))]
        policy = keras.Model(sides, keras.layers.Dense(3)(keras.layers.Concatenate()(sides)))
        layer = MixLayer(num_classes=3, probability=mixed)
        mixing = AdaMixupModel(model, layer, policy, seed=1)
        mixing.compile(keras.optimizers.SGD(0.5), keras.losses.CategoricalCrossentropy(from_logits=True))
    data = tf.data.Dataset.from_tensor_slices((x, y)).batch(16)
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    history = mixing.fit(data.with_options(options), epochs=3, verbose=0).history
    return [*model.get_weights(), *policy.get_weights(), *mixing.discriminator.get_weights()], history


one, two = tf.distribute.get_strategy(), tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
# Nothing is mixed, so each replica's step is that of half of the batch: intrusion is of real samples alone.
(alone, before), (both, after) = trained(one, 0.0), trained(two, 0.0)
for ours, theirs in zip(alone, both):
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
for name in before:
    np.testing.assert_allclose(before[name], after[name], rtol=1e-5)
_, history = trained(two, 1.0)
assert all(np.isfinite(values).all() for values in history.values())
"""


def test_replicas_take_the_step_of_one_device(elsewhere):
    elsewhere(REPLICAS)


# What is refused


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(3)

    def call(self, x):
        return self.dense(x)


def subclassed():
    model = Subclassed()
    model(tf.zeros([1, 5]))
    return model


def of_two_inputs():
    sides = [keras.Input((5,)), keras.Input((5,))]
    return keras.Model(sides, keras.layers.Dense(3)(keras.layers.Concatenate()(sides)))


def policy_with(units=3, activation=None, axes=()):
    sides = [keras.Input((5,)), keras.Input((5,))]
    x = keras.layers.Concatenate()(sides)
    x = keras.layers.Reshape((*axes, 10))(x) if axes else x
    return keras.Model(sides, keras.layers.Dense(units, activation)(x))


def of_two_outputs():
    sides = [keras.Input((5,)), keras.Input((5,))]
    x = keras.layers.Concatenate()(sides)
    return keras.Model(sides, [keras.layers.Dense(3)(x), keras.layers.Dense(3)(x)])


def told_of(width, units=1, activation=None):
    return keras.Sequential([keras.Input((width,)), keras.layers.Dense(units, activation)])


REFUSED = {
    "ratio": ({"layer": lambda: KMixupLayer(2, 0.5)}, ValueError, r"must leave its ratio out.*BetaRatio\(alpha=0.5"),
    "scope": ({"layer": lambda: MixLayer(ratio=BetaRatio(1.0, "sample"))}, ValueError, "scope='sample'"),
    "own ratio": ({"layer": lambda: MixLayer(ratio=half)}, ValueError, "Received: one with half"),
    "blend": ({"layer": lambda: CutMixLayer(1.0)}, ValueError, "must have the linear blend. Received: .*CutMixBlend"),
    "no layer": ({"layer": lambda: "mixup"}, TypeError, "layer must be a MixLayer such as"),
    "subclassed": ({"model": subclassed}, TypeError, "model must be functional or sequential.*Subclassed"),
    "two inputs": ({"model": of_two_inputs}, ValueError, "model must have one input.*with 2"),
    "at": ({"at": lambda: "hid"}, ValueError, "at must name a layer .*at='hid'.*'input', .*'hidden'"),
    "no policy": ({"policy": lambda: 3}, TypeError, "policy must be a functional Keras model of two inputs"),
    "one side": (
        {"policy": lambda: told_of(5, 3)},
        ValueError,
        r"inputs of shapes .* given \(None, 5\) and \(None, 5",
    ),
    "two logits": ({"policy": lambda: policy_with(2)}, ValueError, r"three logits.* with outputs of .*\(None, 2\)"),
    "rank 3": ({"policy": lambda: policy_with(axes=(1,))}, ValueError, r"with outputs of shapes .*\(None, 1, 3\)"),
    "two outputs": ({"policy": of_two_outputs}, ValueError, r"with outputs of shapes \[\(None, 3\), \(None, 3\)\]"),
    "shares": ({"policy": lambda: policy_with(3, "softmax")}, ValueError, "policy must answer with logits.*softmax"),
    "no shapes": ({"policy": subclassed}, TypeError, "policy must be .*Subclassed, whose shapes are known only as"),
    "no discriminator": ({"discriminator": lambda: 3}, TypeError, "discriminator must be a functional or sequential"),
    "features": ({"discriminator": lambda: told_of(5)}, ValueError, r"discriminator .* given \(None, 4\)"),
    "classes": ({"discriminator": lambda: told_of(4, 2)}, ValueError, r"one logit for each.*outputs .*\(None, 2\)"),
    "shares of it": ({"discriminator": lambda: told_of(4, 1, "sigmoid")}, ValueError, "must answer with logits"),
    "weight": ({"intrusion_weight": lambda: -1}, ValueError, "intrusion_weight must be >= 0 and finite"),
    "clean": ({"clean_weight": lambda: float("nan")}, ValueError, "clean_weight must be >= 0 and finite"),
}


def half(group, seed):
    return tf.fill(tf.shape(group), 0.5)


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_is_refused(name):
    options, error, message = REFUSED[name]
    made = {"model": network, **options}
    with pytest.raises(error, match="^AdaMixupModel: .*" + message):
        AdaMixupModel(**{key: value() for key, value in made.items()})


def test_a_model_whose_last_layers_part_must_name_a_place():
    inputs = keras.Input((5,))
    model = keras.Model(inputs, [keras.layers.Dense(3)(inputs), keras.layers.Dense(2)(inputs)])
    with pytest.raises(ValueError, match=r"AdaMixupModel: at must name a layer.* at=None, and it is not clear"):
        AdaMixupModel(model)


def test_without_a_loss_there_is_nothing_for_the_policy_to_learn():
    mixing = AdaMixupModel(network(), MixLayer(num_classes=3))
    mixing.compile("sgd")
    with pytest.raises(ValueError, match="AdaMixupModel: compile needs a loss, by which the policy learns"):
        mixing.fit(X, Y, verbose=0)
