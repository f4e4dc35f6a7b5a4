"""AutoMixModel: who learns from which mixture, by loops of its own; the copy that follows; masks that are learnt."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kmix_tf import (
    AutoMixModel,
    BetaRatio,
    ExponentialWeight,
    KMixupLayer,
    LocalMixupLayer,
    LocalMixupLoss,
    MixBlock,
    MixLayer,
    MomentumSchedule,
    MultiMixLayer,
    RandomPairing,
    RepeatedPairing,
)
from kmix_tf.callbacks.stage import stages_of
from kmix_tf.seeding import as_seed, split

IS_KERAS_3 = keras.__version__.startswith("3")
RNG = np.random.default_rng(3)
X = RNG.normal(size=(16, 6, 6, 2)).astype(np.float32)
Y = np.arange(16) % 3
ENTROPY = keras.losses.CategoricalCrossentropy(from_logits=True)
RATE = 0.5


def network(seed=0, dtype=None, norm=True, size=6, units=3):
    keras.utils.set_random_seed(seed)
    layers = keras.layers
    inputs = keras.Input((size, size, 2), name="images")
    x = layers.Conv2D(4, 3, 2, padding="same", name="conv", dtype=dtype)(inputs)
    x = layers.BatchNormalization(name="norm", dtype=dtype)(x) if norm else x
    x = layers.Activation("relu", name="maps", dtype=dtype)(x)
    x = layers.GlobalAveragePooling2D(name="pooled", dtype=dtype)(x)
    return keras.Model(inputs, layers.Dense(units, name="logits", dtype=dtype)(x))


def layer_of(**options):
    return MixLayer(**{"ratio": BetaRatio(2.0, "sample"), "num_classes": 3, **options})


def far(block, seed=0):
    """The block, with weights far from where they begin."""
    rng = np.random.default_rng(seed)
    block.set_weights([rng.normal(size=weight.shape) for weight in block.get_weights()])
    return block


def compiled(layer=None, model=None, seed=1, optimizer=None, loss=ENTROPY, in_graph=False, jit=False, **options):
    options = {"block": far(MixBlock(4)), **options}
    mixing = AutoMixModel(model or network(), "maps", layer or layer_of(), seed=seed, **options)
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
    return AutoMixModel(network(), "maps", layer_of(), seed=mixing.get_config()["seed"])._counter.next()[1]


def mixtures(mixing, seed):
    """Mixtures by the definition: images, means of masks, and the plan, from the model's own layer and block."""
    plan = mixing.layer.plan([X], seed)
    maps = keras.Model(mixing.teacher.inputs, mixing.teacher.get_layer("maps").output)(X, training=False)
    mask = mixing.block.mask(maps, tf.gather(maps, plan.partner), plan.ratio, (6, 6))
    return mask, plan


def mixed_by(mask, plan):
    share = mask[..., tf.newaxis]
    return share * X + (1 - share) * tf.gather(X, plan.partner)


def labels_by(ratio, plan):
    y = np.eye(3, dtype=np.float32)[Y]
    ratio = np.asarray(ratio)[:, None]
    return ratio * y + (1 - ratio) * y[plan.partner.numpy()]


@pytest.mark.parametrize("options", [{}, {"clean_weight": 0.0, "labels": "drawn", "variance_weight": 0.3}])
def test_a_step_is_one_of_each_by_its_own_loss_alone(options):
    mixing = compiled(ratio_margin=0.0, area_weight=0.7, area_margin=0.05, **options)
    seed = first_seed(mixing)
    # The block: other pairs, classified by the copy, and areas; by nothing else.
    with tf.GradientTape() as tape:
        mask, plan = mixtures(mixing, split(as_seed(seed), 6)[-1])
        answers = mixing.teacher(mixed_by(mask, plan), training=False)
        missed = tf.abs(tf.reduce_mean(mask, axis=[1, 2]) - plan.ratio)
        entropy = tf.nn.softmax_cross_entropy_with_logits(labels_by(plan.ratio, plan), answers)
        cost = tf.reduce_mean(entropy) + 0.7 * tf.reduce_mean(tf.maximum(missed - 0.05, 0))
        centred = tf.square(mask - tf.reduce_mean(mask, axis=[1, 2], keepdims=True))
        cost -= options.get("variance_weight", 0.0) * tf.reduce_mean(centred)
    block = tensors(mixing.block.trainable_weights)
    expected = [np.array(v) - RATE * g for v, g in zip(block, tape.gradient(cost, block), strict=True)]
    # The model: mixtures whose masks are constants, and the batch as it is.
    mask, plan = mixtures(mixing, seed)
    shares = plan.ratio if "labels" in options else tf.reduce_mean(mask, axis=[1, 2])
    model = tensors(mixing.model.trainable_weights)
    with tf.GradientTape() as tape:
        loss = ENTROPY(labels_by(shares, plan), mixing.model(mixed_by(mask, plan), training=True))
        clean = ENTROPY(np.eye(3)[Y], mixing.model(X, training=True))
        total = loss + options.get("clean_weight", 1.0) * clean
    expected_model = [np.array(v) - RATE * g for v, g in zip(model, tape.gradient(total, model), strict=True)]
    logs = mixing.train_on_batch(X, Y, return_dict=True)
    assert_same([np.array(v) for v in block], expected)
    assert_same([np.array(v) for v in model], expected_model, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(logs["loss"], float(loss), rtol=1e-4)
    np.testing.assert_allclose(logs["block_loss"], float(tf.reduce_mean(entropy)), rtol=1e-4)
    np.testing.assert_allclose(logs["mask_error"], float(tf.reduce_mean(missed)), rtol=1e-4)
    assert any(np.abs(ours - old).max() > 1e-3 for ours, old in zip(expected, weights(far(MixBlock(4))), strict=True))


def test_a_block_that_is_not_trained_stays_and_the_model_learns_the_same():
    learning, fixed = compiled(), compiled(train_block=False)
    before = weights(fixed.block)
    for mixing in (learning, fixed):
        mixing.train_on_batch(X, Y)
    assert_same(weights(fixed.model), weights(learning.model), rtol=1e-5)
    assert_same(weights(fixed.block), before, rtol=0, atol=0)
    assert not any(np.array_equal(*pair) for pair in zip(weights(learning.block), before, strict=True))
    assert list(fixed.fit(X, Y, verbose=0).history) == ["loss"]


@pytest.mark.parametrize("momentum", [0.9, MomentumSchedule(4, 0.5, 0.8, hold=0.3), 1])
@pytest.mark.representatives("momentum", [0.9])
def test_the_copy_follows_as_numpy_says_with_batch_statistics(momentum):
    mixing = compiled(momentum=momentum)
    expected = weights(mixing.teacher)
    for step in range(4):
        mixing.train_on_batch(X, Y)
        factor = float(momentum(step)) if callable(momentum) else momentum
        expected = [factor * e + (1 - factor) * w for e, w in zip(expected, weights(mixing.model), strict=True)]
        assert_same(weights(mixing.teacher), expected, rtol=1e-5)
    moved = [not np.array_equal(*pair) for pair in zip(expected, weights(network()), strict=True)]
    assert all(moved) or momentum == 1


def test_the_momentum_rises_as_published():
    schedule = MomentumSchedule(1000)
    steps = np.arange(0, 1200)
    by_hand = 0.999999 - (0.999999 - 0.999) * (np.cos(np.pi * np.minimum(steps / 1000, 1)) + 1) / 2
    by_hand[:100] = 0.999
    np.testing.assert_allclose([float(schedule(step)) for step in steps], by_hand, rtol=1e-12)
    assert MomentumSchedule.from_config(schedule.get_config()).get_config() == schedule.get_config()


def test_a_ratio_of_one_gives_the_batch_back_bit_for_bit():
    for layer in (layer_of(ratio=BetaRatio(0.0)), layer_of(probability=0.0)):
        mixing = compiled(layer)
        x, y = mixing.mix((X, Y, None), seed=3, step=0)
        assert (x.numpy() == X).all() and (y.numpy() == np.eye(3)[Y]).all()


def test_equal_images_come_back_whatever_the_mask():
    x = np.tile(X[:1], [8, 1, 1, 1])
    mixed, _ = compiled().mix((x, Y[:8], None), seed=3, step=0)
    np.testing.assert_allclose(mixed, x, atol=1e-6)


def test_ratios_near_the_ends_are_linear_and_labels_follow_the_mask():
    mixing = compiled(ratio_margin=0.2)
    mask, plan = mixtures(mixing, 5)
    x, y = mixing.mix((X, Y, None), seed=5, step=0)
    ratio = plan.ratio.numpy()
    is_linear = np.minimum(ratio, 1 - ratio) <= 0.2
    assert 0 < is_linear.sum() < 16
    mask = np.where(is_linear[:, None, None], ratio[:, None, None], mask)
    np.testing.assert_allclose(x, mixed_by(tf.constant(mask), plan), atol=1e-5)
    np.testing.assert_allclose(y, labels_by(mask.mean(axis=(1, 2)), plan), atol=1e-5)


def test_masks_learn_their_ratios():
    mixing = compiled(
        in_graph=True, block="automix", optimizer=keras.optimizers.Adam(0.05), area_margin=0.0, area_weight=3.0
    )
    before = mixing.fit(X, Y, batch_size=16, verbose=0).history["mask_error"][-1]
    after = mixing.fit(X, Y, batch_size=16, epochs=60, verbose=0).history["mask_error"][-1]
    assert after < 0.25 * before
    _, plan = mixtures(mixing, 5)
    realised = tf.reduce_mean(mixtures(mixing, 5)[0], axis=[1, 2])
    assert np.corrcoef(realised, plan.ratio)[0, 1] > 0.95


MIXES = {
    "k-mixup": lambda: KMixupLayer(4, 2.0, num_classes=3),
    "multi-mix": lambda: MultiMixLayer(3, num_classes=3),
    "several partners": lambda: MixLayer(RepeatedPairing(RandomPairing(), 2), BetaRatio(2.0), num_classes=3),
    "local": lambda: LocalMixupLayer(num_classes=3, weight=ExponentialWeight(0.1)),
    "packed": lambda: LocalMixupLayer(num_classes=3, targets="packed"),
}


@pytest.mark.parametrize("name", MIXES)
@pytest.mark.representatives("name", ["multi-mix", "packed"])
def test_the_other_decisions_are_free(name):
    loss = LocalMixupLoss(ENTROPY) if name == "packed" else ENTROPY
    mixing = compiled(MIXES[name](), loss=loss)
    history = mixing.fit(X[:10], Y[:10], batch_size=6, verbose=0).history
    assert all(np.isfinite(values).all() for values in history.values())
    x, *_ = mixing.mix((X, Y, None), seed=1, step=0)
    assert len(x) == 16 * (mixing.layer.mixtures or 1)


def test_each_ratio_of_a_pair_has_a_mask_of_its_own():
    mixing = compiled(MultiMixLayer(3, 2.0, num_classes=3), ratio_margin=0.0)
    plan = mixing.layer.plan([X], 5)
    x, _ = mixing.mix((X, Y, None), seed=5, step=0)
    maps = keras.Model(mixing.teacher.inputs, mixing.teacher.get_layer("maps").output)(X, training=False)
    for number in range(3):
        ratio = plan.ratio[number]
        mask = mixing.block.mask(maps, tf.gather(maps, plan.partner), ratio, (6, 6))
        np.testing.assert_allclose(x[16 * number : 16 * number + 16], mixed_by(mask, plan), atol=1e-5)


def test_a_compiled_step_equals_a_plain_one():
    after = []
    for jit in (False, True):
        mixing = compiled(in_graph=True, jit=jit, momentum=0.9)
        mixing.fit(X, Y, batch_size=8, shuffle=False, verbose=0)
        after.append(weights(mixing))
    assert_same(*after, rtol=1e-3, atol=1e-5)


@pytest.mark.as_users_compile
@pytest.mark.parametrize("case", ["float16", "uint8", "open sizes", "one sample"])
@pytest.mark.representatives("case", ["float16", "open sizes", "one sample"])
def test_it_trains_on_what_comes(case):
    policy = "mixed_float16" if case == "float16" else None
    model = network(dtype=policy, size=None if case == "open sizes" else 6)
    x = (X * 40 + 100).clip(0, 255).astype(np.uint8) if case == "uint8" else X
    mixing = compiled(model=model, in_graph=case != "one sample")
    size = 1 if case == "one sample" else 3
    history = mixing.fit(x[:4], Y[:4], batch_size=size, verbose=0).history
    assert all(np.isfinite(values).all() for values in history.values())
    mixed, _ = mixing.mix((tf.constant(x[:4]), Y[:4], None), seed=1, step=0)
    assert mixed.dtype == tf.float32


@pytest.mark.matrix
def test_maps_of_targets_are_mixed_place_by_place():
    inputs = keras.Input((6, 6, 2))
    maps = keras.layers.Conv2D(4, 1, 2, name="maps")(inputs)
    model = keras.Model(inputs, keras.layers.UpSampling2D(2)(maps))
    mixing = AutoMixModel(model, "maps", layer_of(num_classes=None), far(MixBlock(4)), seed=1, ratio_margin=0.0)
    target = np.tile(np.arange(16, dtype=np.float32)[:, None, None, None], [1, 6, 6, 4])
    plan = mixing.layer.plan([X], 5)
    of_place = keras.Model(model.inputs, maps)(X)
    mask = mixing.block.mask(of_place, tf.gather(of_place, plan.partner), plan.ratio, (6, 6))[..., tf.newaxis]
    _, y = mixing.mix((X, target, None), seed=5, step=0)
    np.testing.assert_allclose(y, mask * target + (1 - mask) * tf.gather(target, plan.partner), rtol=1e-4, atol=1e-4)


def test_signals_are_masked_along_their_one_axis():
    inputs = keras.Input((12, 2))
    maps = keras.layers.Conv1D(4, 3, 3, name="maps")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(3)(keras.layers.GlobalAveragePooling1D()(maps)))
    mixing = compiled(model=model)
    x = RNG.normal(size=(16, 12, 2)).astype(np.float32)
    assert np.isfinite(mixing.fit(x, Y, verbose=0).history["loss"]).all()


def test_evaluation_prediction_and_export_are_the_plain_models(tmp_path):
    mixing = compiled()
    mixing.train_on_batch(X, Y)
    plain = mixing.model
    plain.compile(loss=ENTROPY)
    np.testing.assert_allclose(
        mixing.evaluate(X, Y, verbose=0), plain.evaluate(X, np.eye(3)[Y], verbose=0), rtol=1e-5
    )
    history = mixing.fit(X, Y, validation_data=(X, Y), verbose=0).history
    assert sorted(history) == ["block_loss", "loss", "mask_error", "val_loss"]
    assert (mixing.predict(X, verbose=0) == plain.predict(X, verbose=0)).all()
    mixing.export(str(tmp_path / "export"), verbose=False)
    served = tf.saved_model.load(str(tmp_path / "export"))
    np.testing.assert_allclose(served.serve(X), plain(X), atol=1e-5)
    size = sum(np.size(value) for value in served.variables)
    assert size == sum(np.size(value) for value in weights(plain))


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


def test_training_saved_and_resumed_elsewhere_goes_on_alike(tmp_path, elsewhere):
    path = str(tmp_path / "mixing")
    schedule = MomentumSchedule(4, 0.5, 0.9)
    mixing = compiled(seed=None, optimizer=keras.optimizers.SGD(0.1, 0.9), momentum=schedule, labels="drawn")
    for _ in range(2):
        mixing.train_on_batch(X, Y)
    mixing.save(path + ".keras")
    np.savez(path + ".npz", x=X, y=Y)
    elsewhere(GO_ON.format(path=path))
    for _ in range(2):
        mixing.train_on_batch(X, Y)
    assert_same(weights(mixing), np.load(path + "_after.npz").values(), rtol=1e-4, atol=1e-5)


REUSE = """
import keras
import numpy as np
from kmix_tf import AutoMixModel, MixLayer

load = lambda name: keras.models.load_model({path!r} + name)
arrays = np.load({path!r} + ".npz")
layer = MixLayer(num_classes=3)
mixing = AutoMixModel(load("_other.keras"), "maps", layer, load("_block.keras"), False, load("_model.keras"), seed=1)
mixing.compile("sgd", keras.losses.CategoricalCrossentropy(from_logits=True))
before = [mixing.block.get_weights(), mixing.teacher.get_weights()]
mixing.train_on_batch(arrays["x"], arrays["y"])
for ours, theirs in zip(sum(before, []), mixing.block.get_weights() + mixing.teacher.get_weights()):
    assert (ours == theirs).all()
mixing.save({path!r} + "_again.keras")
mixing = load("_again.keras")
x, y = mixing.mix((arrays["x"], arrays["y"], None), seed=7, step=0)
np.save({path!r} + "_mixed.npy", x)
"""


def test_a_trained_block_serves_another_model_elsewhere(tmp_path, elsewhere):
    path = str(tmp_path / "it")
    mixing, layer = compiled(), MixLayer(num_classes=3)
    mixing.train_on_batch(X, Y)
    mixing.block.save(path + "_block.keras")
    mixing.model.save(path + "_model.keras")
    network(seed=5, norm=False).save(path + "_other.keras")
    np.savez(path + ".npz", x=X, y=Y)
    elsewhere(REUSE.format(path=path))
    here = AutoMixModel(network(seed=5, norm=False), "maps", layer, mixing.block, False, mixing.model, seed=1)
    np.testing.assert_allclose(np.load(path + "_mixed.npy"), here.mix((X, Y, None), seed=7, step=0)[0], atol=1e-5)


def test_several_inputs_and_outputs():
    images, table = keras.Input((6, 6, 2), name="images"), keras.Input((3,), name="table")
    maps = keras.layers.Conv2D(4, 3, 2, padding="same", name="maps")(images)
    both = keras.layers.Concatenate()([keras.layers.GlobalAveragePooling2D()(maps), table])
    outputs = {name: keras.layers.Dense(3, name=name)(both) for name in ("class", "number")}
    model = keras.Model({"images": images, "table": table}, outputs)
    layer = layer_of(num_classes={"class": 3, "number": None})
    mixing = compiled(layer, model, loss={"class": ENTROPY, "number": "mse"}, ratio_margin=0.0)
    x, y = {"images": X, "table": X[:, 0, :3, 0]}, {"class": Y, "number": X[:, 0, :3, 1]}
    assert np.isfinite(mixing.fit(x, y, verbose=0).history["loss"]).all()
    mixed, targets = mixing.mix((x, y, None), seed=5, step=0)
    partner = mixing.layer.plan(list(x.values()), 5).partner.numpy()
    # What has no places is mixed linearly, by the mask's mean, which is the label's share.
    share = np.array(targets["class"])[np.arange(16), Y]
    is_other = Y[partner] != Y
    table = share[:, None] * x["table"] + (1 - share[:, None]) * x["table"][partner]
    assert is_other.sum() > 3
    np.testing.assert_allclose(mixed["table"][is_other], table[is_other], atol=1e-5)


def test_gradients_of_the_block_are_scaled_and_unscaled_with_the_loss():
    scaling = keras.optimizers if IS_KERAS_3 else keras.mixed_precision
    after = []
    for wrap in (lambda optimizer: optimizer, scaling.LossScaleOptimizer):
        mixing = compiled(optimizer=wrap(keras.optimizers.SGD(RATE)))
        mixing.train_on_batch(X, Y)
        after.append(weights(mixing.block))
    assert_same(*after, rtol=1e-3)


def test_a_copy_normalises_as_the_model_does():
    normalise = keras.layers.Normalization()
    normalise.adapt(3 * X + 7)
    inputs = keras.Input((6, 6, 2))
    maps = keras.layers.Conv2D(4, 3, name="maps")(normalise(inputs))
    model = keras.Model(inputs, keras.layers.Dense(3)(keras.layers.Flatten()(maps)))
    mixing = AutoMixModel(model, "maps", layer_of())
    np.testing.assert_allclose(mixing.teacher(X), model(X), atol=1e-6)


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(3)

    def call(self, x):
        return self.dense(tf.reshape(x, [-1, 72]))


def test_a_teacher_lets_the_model_be_subclassed():
    model = Subclassed()
    model(X)
    mixing = compiled(model=model, teacher=network(), block="samix", variance_weight=0.2)
    assert np.isfinite(mixing.fit(X, Y, verbose=0).history["block_loss"]).all()


def test_a_callback_is_shown_the_masked_mixtures():
    mixing = compiled(in_graph=True)
    stage = stages_of(None, mixing)[""]
    assert_same([stage((X, Y, None), 5, 0)[0]], [mixing.mix((X, Y, None), 5, 0)[0]])
    linear = mixing.layer(X, Y, seed=5)[0]
    assert np.abs(linear - stage((X, Y, None), 5, 0)[0]).max() > 0.1


ON_REPLICAS = """
import keras
import numpy as np
import tensorflow as tf
from kmix_tf import AutoMixModel, MixLayer

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
layers = keras.layers
with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
    inputs = keras.Input((6, 6, 2))
    maps = layers.BatchNormalization(name="maps")(layers.Conv2D(4, 3, 2)(inputs))
    model = keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling2D()(maps)))
    mixing = AutoMixModel(model, "maps", MixLayer(num_classes=3), momentum=0.25, seed=0)
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    mixing.compile(keras.optimizers.SGD(0.1), loss, jit_compile=False)
before = mixing.teacher.get_weights()
mixing.fit(np.random.default_rng(0).normal(size=(8, 6, 6, 2)).astype(np.float32), np.arange(8) % 3, batch_size=8)
for old, new, weight in zip(before, mixing.teacher.get_weights(), mixing.model.get_weights(), strict=True):
    np.testing.assert_allclose(new, 0.25 * old + 0.75 * weight, atol=1e-6)
    assert not (old == weight).all()
"""


@pytest.mark.matrix
def test_on_replicas_the_copies_follow_as_one(elsewhere):
    elsewhere(ON_REPLICAS)
