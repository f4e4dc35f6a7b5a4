import keras
import numpy as np
import pytest

from kmix_tf import ExponentialWeight, KMixupLayer, LocalMixupLayer
from kmix_tf.models.manifold.model import ManifoldMixModel

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


def mixing(model, layers, mix, seed=5, loss=CROSS_ENTROPY, optimizer=None, **options):
    wrapped = ManifoldMixModel(model, layers, mix, seed=seed)
    wrapped.compile(optimizer or keras.optimizers.SGD(0.5), loss, **options)
    return wrapped


GO_ON = """
import keras
import numpy as np
from kmix_tf.models.manifold.model import ManifoldMixModel

model = keras.models.load_model({path!r} + ".keras")
arrays = np.load({path!r} + ".npz")
for _ in range(2):
    model.train_on_batch(arrays["x"], arrays["y"])
np.savez({path!r} + "_after.npz", *model.get_weights())
"""


def test_training_saved_and_resumed_elsewhere_goes_on_with_the_draws_to_come(data, tmp_path, elsewhere):
    x, y = data
    mix, path = LocalMixupLayer(k=3, num_classes=3, weight=ExponentialWeight(1.0)), str(tmp_path / "model")
    wrapped = mixing(network(), ["input", "sum", "last"], mix, seed=None, optimizer=keras.optimizers.SGD(0.5, 0.9))
    for _ in range(2):
        wrapped.train_on_batch(x, y)
    wrapped.save(path + ".keras")
    np.savez(path + ".npz", x=x, y=y)
    elsewhere(GO_ON.format(path=path))
    for _ in range(2):
        wrapped.train_on_batch(x, y)
    resumed = np.load(path + "_after.npz").values()
    for ours, theirs in zip(wrapped.get_weights(), resumed, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


SERVE = """
import sys
import numpy as np
import tensorflow as tf
x = np.load(sys.argv[1] + ".npy")
served = tf.saved_model.load(sys.argv[1])
np.save(sys.argv[1] + "_served.npy", served.serve(x))
assert "kmix_tf" not in sys.modules
"""


def test_an_export_is_the_plain_models(data, tmp_path, elsewhere):
    x, y = data
    wrapped = mixing(network(), ["input", "sum"], KMixupLayer(3, num_classes=3))
    wrapped.train_on_batch(x, y)
    path = str(tmp_path / "served")
    wrapped.export(path)
    np.save(path + ".npy", x)
    elsewhere(SERVE, path)
    np.testing.assert_allclose(np.load(path + "_served.npy"), wrapped.model.predict(x, verbose=0), atol=1e-6)
    assert b"PyFunc" not in (tmp_path / "served" / "saved_model.pb").read_bytes()


REPLICAS = """
import keras
import numpy as np
import tensorflow as tf
from kmix_tf import KMixupLayer
from kmix_tf.models.manifold.model import ManifoldMixModel

devices = [tf.config.LogicalDeviceConfiguration()] * 2
tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], devices)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
x = np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32)
y = np.eye(3, dtype=np.float32)[np.arange(8) % 3]
layers = [keras.Input((4,)), keras.layers.Dense(6, activation="tanh", name="a"), keras.layers.BatchNormalization()]
layers += [keras.layers.Dropout(0.1, name="b"), keras.layers.Dense(3)]
with strategy.scope():
    wrapped = ManifoldMixModel(keras.Sequential(layers), ["a", "b"], KMixupLayer(2), seed=1)
    wrapped.compile("sgd", "mse", jit_compile=False)
history = wrapped.fit(x, y, batch_size=4, verbose=0).history
assert np.isfinite(history["loss"]).all()
assert int(wrapped._counter.steps.numpy()) == 2, wrapped._counter.steps
seeds = strategy.experimental_local_results(strategy.run(tf.function(lambda: wrapped._counter.next()[1])))
assert not np.array_equal(*seeds), seeds
"""


def test_replicas_count_alike_and_draw_differently(elsewhere):
    elsewhere(REPLICAS)
