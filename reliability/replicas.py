"""Replicas of one process: what each model wrapper does on two devices, beside one process with the same mixtures.

The devices are two logical ones of the processor, which step as accelerators do: each mixes its own rows of a batch,
and gradients are summed up. The last batches of an epoch are uneven: a replica gets fewer rows, one, or none.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from harness import Row, main

from kmix_tf import (
    AdaMixupModel,
    ApproximateMixupModel,
    AutoMixModel,
    ChoiceLayer,
    CutMixLayer,
    KMixupLayer,
    LocalMixupLayer,
    LocalMixupLoss,
    ManifoldMixModel,
    MixAccuracy,
    MixLayer,
    MixModel,
    MultiMixLayer,
    PuzzleMixLayer,
)
from kmix_tf.models.approximate import model as approximate
from kmix_tf.models.counting import _REPLICA

TITLE = "Two replicas"

CLASSES = 3
EPOCHS = (np.arange(11), np.arange(11, 20))  # in batches of 8: replicas get 4 and 4, 2 and 1; 4 and 4, 1 and 0 rows
BATCHES = [rows[first : first + 8] for rows in EPOCHS for first in (0, 8)]
X = np.random.default_rng(0).normal(size=(20, 6, 6, 1)).astype(np.float32)
Y = np.arange(20) % CLASSES


def two_devices() -> tf.distribute.Strategy:
    """A strategy on two logical devices, which must be made before TensorFlow starts."""
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


def network() -> keras.Model:
    """Without convolutions: on the processor TensorFlow has no gradient of those for a replica without rows."""
    inputs = keras.Input((6, 6, 1))
    maps = keras.layers.Dense(2, "tanh", name="maps")(inputs)
    return keras.Model(inputs, keras.layers.Dense(CLASSES)(keras.layers.Flatten()(maps)))


def policy() -> keras.Model:
    sides = [keras.Input((6, 6, 1)), keras.Input((6, 6, 1))]
    beside = keras.layers.Flatten()(keras.layers.Concatenate()(sides))
    return keras.Model(sides, keras.layers.Dense(3)(beside))


def _approximate(seed: int) -> ApproximateMixupModel:
    model = ApproximateMixupModel(network(), 1.0, seed=seed)
    model.adapt(X, Y)
    return model


def _auto(seed: int) -> AutoMixModel:
    return AutoMixModel(network(), "maps", MixLayer(num_classes=CLASSES), momentum=1.0, seed=seed)


def _choice() -> ChoiceLayer:
    return ChoiceLayer([KMixupLayer(2, num_classes=CLASSES), CutMixLayer(num_classes=CLASSES)])


_PLAIN = MixLayer(num_classes=CLASSES)
_PACKED = LocalMixupLayer(targets="packed")

MODELS: dict[str, Callable[[int], keras.Model]] = {
    "MixModel": lambda seed: MixModel(network(), KMixupLayer(2, num_classes=CLASSES), seed=seed),
    "MixModel, LocalMixupLayer": lambda s: MixModel(network(), LocalMixupLayer(num_classes=CLASSES), seed=s),
    "MixModel, packed targets": lambda s: MixModel(network(), _PACKED, seed=s),
    "MixModel, ChoiceLayer": lambda s: MixModel(network(), _choice(), seed=s),
    "MixModel, PuzzleMixLayer": lambda s: MixModel(network(), PuzzleMixLayer(num_classes=CLASSES, blocks=2), seed=s),
    "ManifoldMixModel": lambda s: ManifoldMixModel(network(), ["input", "maps"], _PLAIN, seed=s),
    "ManifoldMixModel, packed targets": lambda s: ManifoldMixModel(network(), ["input", "maps"], _PACKED, seed=s),
    "AdaMixupModel": lambda s: AdaMixupModel(network(), _PLAIN, policy(), seed=s),
    "AutoMixModel": _auto,
    "ApproximateMixupModel": _approximate,
}
LAYERS: dict[str, Callable[[], Any]] = {
    "KMixupLayer": lambda: KMixupLayer(4, num_classes=CLASSES),
    "LocalMixupLayer": lambda: LocalMixupLayer(num_classes=CLASSES),
    "packed targets": lambda: _PACKED,
    "MultiMixLayer": lambda: MultiMixLayer(3, num_classes=CLASSES),
    "ChoiceLayer": _choice,
    "PuzzleMixLayer": lambda: PuzzleMixLayer(num_classes=CLASSES, blocks=2),
}
SHORT = ("MixModel, packed targets", "ManifoldMixModel", "AutoMixModel")


class Trained(NamedTuple):
    """Trainable weights after some batches, and the logs."""

    weights: list[np.ndarray]
    logs: dict[str, float]


def made(name: str, seed: int = 0, eagerly: bool = False) -> keras.Model:
    """A compiled model of a name; "none" is the plain one."""
    keras.utils.set_random_seed(5)
    model = network() if name == "none" else MODELS[name](seed)
    sparse = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    soft = keras.losses.CategoricalCrossentropy(from_logits=True)
    is_sparse = name in ("none", "ApproximateMixupModel")
    loss = sparse if is_sparse else LocalMixupLoss(sparse) if "packed" in name else soft
    metric = "accuracy" if is_sparse else MixAccuracy()
    model.compile(keras.optimizers.SGD(0.5), loss, metrics=[metric], jit_compile=False, run_eagerly=eagerly)
    return model


def dataset(rows: np.ndarray) -> tf.data.Dataset:
    """These rows in batches of 8, of integer labels. What is sharded by records is cut in halves, also at the end."""
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return tf.data.Dataset.from_tensor_slices((X[rows], Y[rows])).batch(8).with_options(options)


def on_two(name: str, strategy: tf.distribute.Strategy) -> Trained:
    """What `fit` makes of both epochs on two replicas, with the logs of the last."""
    with strategy.scope():
        model = made(name)
    logs = [model.fit(dataset(rows), verbose=0).history for rows in EPOCHS]
    return Trained(values(model), {key: each[0] for key, each in logs[-1].items()})


def by_one(name: str) -> Trained:
    """The same by one process: for each batch, the mean of the steps taken from each half with its replica's seed."""
    halves = [made(name, replica * _REPLICA, eagerly=True) for replica in (0, 1)]
    weights, logs = values(halves[0]), []
    for step, rows in enumerate(BATCHES):
        after = []
        for replica, part in enumerate(np.array_split(rows, 2)):
            after.append(weights)
            if len(part):
                logs.append((len(part), _step(halves[replica], weights, step, replica, part)))
                after[-1] = values(halves[replica])
        weights = [np.mean(each, axis=0) for each in zip(*after, strict=True)]
    counts = [count for count, _ in logs]
    means = {key: float(np.average([each[key] for _, each in logs], weights=counts)) for key in logs[0][1]}
    return Trained(weights, means)


def _step(
    model: keras.Model, weights: list[np.ndarray], step: int, replica: int, rows: np.ndarray
) -> dict[str, float]:
    """One step as a replica takes it in the middle of a training; returns the logs."""
    for variable, value in zip(model.trainable_variables, weights, strict=True):
        variable.assign(value)
    if isinstance(model, ApproximateMixupModel):
        # Its seeds come of its own, which is 0 on both, and the replica's number, which in one process is always 0.
        approximate.step_seed = lambda *_: tf.constant([0, step * 2**20 + replica], tf.int64)
    elif hasattr(model, "_counter"):
        model._counter.steps.assign(step)
    return {
        key: each[0]
        for key, each in model.fit(X[rows], Y[rows], batch_size=8, shuffle=False, verbose=0).history.items()
    }


def values(model: keras.Model) -> list[np.ndarray]:
    return [variable.numpy() for variable in model.trainable_variables]


def apart(ours: Trained, theirs: Trained) -> float:
    """The largest difference between weights, beside the largest weight; NaN where one is not finite."""
    pairs = zip(ours.weights, theirs.weights, strict=True)
    return max(float(np.max(np.abs(mine - other)) / np.max(np.abs(other))) for mine, other in pairs)


def is_finite(trained: Trained) -> bool:
    return bool(np.isfinite([*trained.logs.values(), *(each.sum() for each in trained.weights)]).all())


def compared(name: str, strategy: tf.distribute.Strategy) -> float:
    """How far the weights that two replicas come to are from those of one process.

    Raises:
        ValueError: if a weight or a log is not finite.
    """
    two, expected = on_two(name, strategy), by_one(name)
    if not is_finite(two):
        raise ValueError(f"{name}: {two.logs}")
    return apart(two, expected)


def gathering(name: str, across: bool = True) -> MixModel:
    """A compiled model that mixes with the layer of a name, among the rows of all replicas."""
    keras.utils.set_random_seed(5)
    model = MixModel(network(), LAYERS[name](), seed=3, across_replicas=across)
    sparse = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    soft = keras.losses.CategoricalCrossentropy(from_logits=True)
    loss = LocalMixupLoss(sparse) if "packed" in name else soft
    model.compile(keras.optimizers.SGD(0.5), loss, jit_compile=False)
    return model


def compared_across(name: str, strategy: tf.distribute.Strategy) -> float:
    """How far two replicas that mix across come, in weights and loss, from one process that is given all rows."""
    with strategy.scope():
        two = gathering(name)
    one = gathering(name)
    losses = [model.fit(dataset(np.arange(16)), verbose=0).history["loss"][0] for model in (two, one)]
    weights = apart(Trained(values(two), {}), Trained(values(one), {}))
    return max(weights, abs(losses[0] - losses[1]) / losses[1])


def costs(strategy: tf.distribute.Strategy, steps: int) -> tuple[float, float]:
    """Milliseconds of a step of 2 x 128 rows, without and with rows of all replicas."""
    x, y = np.zeros([256 * (steps + 1), 6, 6, 1], np.float32), np.zeros(256 * (steps + 1), np.int64)
    found = []
    for across in (False, True):
        with strategy.scope():
            model = gathering("KMixupLayer", across)
        model.fit(x[:256], y[:256], batch_size=256, verbose=0)  # traces
        began = time.perf_counter()
        model.fit(x, y, batch_size=256, verbose=0)
        found.append(1000 * (time.perf_counter() - began) / (steps + 1))
    return found[0], found[1]


def draws(strategy: tf.distribute.Strategy, steps: int) -> tuple[int, int]:
    """How many different mixtures both replicas make of the same rows in these steps, and of how many."""
    with strategy.scope():
        model = MixModel(network(), MixLayer(num_classes=CLASSES), seed=0)

    @tf.function
    def drawn() -> Any:
        def one() -> Any:
            step, seed = model._counter.next()
            return model.mix((X[:8], Y[:8], None), seed, step)[0]

        return strategy.run(one)

    seen = [each.numpy().tobytes() for _ in range(steps) for each in strategy.experimental_local_results(drawn())]
    return len(set(seen)), len(seen)


def measure(short: bool) -> Iterator[Row]:
    """The rows."""
    strategy = two_devices()
    sizes = "replicas get 4 and 4 rows, 2 and 1, 1 and 0"
    control = apart(on_two("none", strategy), by_one("none"))
    for name in SHORT if short else MODELS:
        try:
            found, held = compared(name, strategy), 0
            held = int(found < 1e-4)
            numbers = f"weights {found:.0e} apart"
        except (ValueError, tf.errors.OpError) as error:
            held, numbers = 0, str(error)[:200]
        yield Row(
            f"`fit` of {name} with integer labels, {sizes}: the weights one process gets of the same mixtures",
            1,
            held,
            f"plain `fit`: weights {control:.0e} apart",
            numbers,
        )
    found = [compared_across(name, strategy) for name in (["KMixupLayer"] if short else LAYERS)]
    default, across = costs(strategy, 10 if short else 200)
    yield Row(
        "`MixModel(across_replicas=True)`: the step that one process takes of the whole batch",
        len(found),
        sum(each < 1e-4 for each in found),
        numbers=f"at most {max(found):.0e} apart; a step of 256 rows: {across:.0f} ms; by default {default:.0f} ms",
    )
    distinct, count = draws(strategy, 5 if short else 100)
    yield Row("the same rows on both replicas, step after step: other mixtures each time", count, distinct)


main(__name__, __doc__)
