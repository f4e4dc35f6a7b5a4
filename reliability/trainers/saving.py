"""A process that trains to the end, and goes on with what was saved before: see killed.py, which kills it."""

import contextlib
import os
import pathlib
import resource
import signal
import time
import traceback
from collections.abc import Callable
from typing import Any, NamedTuple

BATCHES = 4
STEPS = 32  # of a training: 8 epochs
EVERY = 3  # steps between checkpoints of a loop

CONTROL = "no mix"
MIXES = ("k-mixup", "a MixSchedule", "a ChoiceLayer", "a RecursiveMixLayer")
MODELS = ("MixModel", "ManifoldMixModel", "ApproximateMixupModel")

Tell = Callable[..., None]


class Trainer(NamedTuple):
    """What is trained, and how: what: a mix, a model or `CONTROL`. loop: a loop of one's own, or fit.

    ballast: MB that a checkpoint holds besides, so that writing it takes long enough to be killed in.
    """

    what: str
    loop: bool
    ballast: int = 0

    @property
    def way(self) -> str:
        return "a loop with tf.train.Checkpoint" if self.loop else "fit with BackupAndRestore"


def dataset() -> Any:
    """Signals and classes, in one order."""
    import numpy as np
    import tensorflow as tf

    x = np.random.default_rng(0).normal(size=(8 * BATCHES, 6, 1)).astype(np.float32)
    y = np.eye(4, dtype=np.float32)[np.arange(8 * BATCHES) % 4]
    shuffled = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(8 * BATCHES, 1, reshuffle_each_iteration=False)
    return shuffled.batch(8)


def layer_of(what: str) -> Any:
    import kmix_tf

    return {
        "k-mixup": lambda: kmix_tf.KMixupLayer(2),
        "a MixSchedule": lambda: kmix_tf.MixLayer(schedule=kmix_tf.MixSchedule(BATCHES, warmup=4, off_after=6)),
        "a ChoiceLayer": lambda: kmix_tf.ChoiceLayer([kmix_tf.KMixupLayer(1), kmix_tf.KMixupLayer(4), None]),
        "a RecursiveMixLayer": lambda: kmix_tf.RecursiveMixLayer(axes=1),
    }[what]()


def ballast_of(megabytes: int) -> Any:
    """A layer that does nothing, and has much to save."""
    import keras

    class Ballast(keras.layers.Layer):
        def build(self, shape: Any) -> None:
            self.add_weight(name="ballast", shape=(megabytes * 2**18,), initializer="zeros", trainable=False)
            self.built = True

        def call(self, x: Any) -> Any:
            return x

    return Ballast()


def network(ballast: int = 0) -> Any:
    import keras

    inputs = keras.layers.Input((6, 1))
    hidden = keras.layers.Dense(8, activation="tanh", name="hidden")(keras.layers.Flatten()(inputs))
    hidden = ballast_of(ballast)(hidden) if ballast else hidden
    return keras.Model(inputs, keras.layers.Dense(4)(hidden))


def model_of(what: str, ballast: int) -> Any:
    """The model that `fit` trains: a network, or what the package wraps it in."""
    import kmix_tf

    plain = network(ballast)
    if what == "MixModel":
        return kmix_tf.MixModel(plain, kmix_tf.KMixupLayer(2), seed=3)
    if what == "ManifoldMixModel":
        return kmix_tf.ManifoldMixModel(plain, ["input", "hidden"], kmix_tf.KMixupLayer(2), seed=3)
    if what == "ApproximateMixupModel":
        model = kmix_tf.ApproximateMixupModel(plain, alpha=1.0, seed=3)
        model.adapt(dataset())
        return model
    return plain


def loop(trainer: Trainer, folder: pathlib.Path, tell: Tell) -> list[Any]:
    """Trains step by step, saves all there is after some, and goes on with what was saved; gives the weights."""
    import keras
    import tensorflow as tf

    import kmix_tf

    model, optimizer = network(trainer.ballast), keras.optimizers.Adam(0.05)
    optimizer.build(model.trainable_variables)
    cross_entropy = keras.losses.CategoricalCrossentropy(from_logits=True)
    data = dataset().repeat()
    if trainer.what != CONTROL:
        data = data.apply(kmix_tf.mix(layer_of(trainer.what), seed=3))
    iterator = iter(data)
    checkpoint = tf.train.Checkpoint(model=model, optimizer=optimizer, iterator=iterator)
    manager = tf.train.CheckpointManager(checkpoint, str(folder / "checkpoints"), max_to_keep=2)
    checkpoint.restore(manager.latest_checkpoint)

    @tf.function
    def step(x: Any, y: Any, weight: Any = None) -> None:
        with tf.GradientTape() as tape:
            loss = cross_entropy(y, model(x, training=True), weight)
        optimizer.apply_gradients(
            zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables, strict=True)
        )

    for number in range(int(optimizer.iterations.numpy()) + 1, STEPS + 1):
        step(*next(iterator))
        tell("step", number)
        if number % EVERY == 0:
            tell("writing", number)
            manager.save()
            tell("written", number)
    return model.get_weights()


def fit(trainer: Trainer, folder: pathlib.Path, tell: Tell) -> list[Any]:
    """Trains by `fit`, which goes on with what was backed up; gives the weights."""
    import keras

    import kmix_tf

    class Backup(keras.callbacks.BackupAndRestore):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            tell("writing", (epoch + 1) * BATCHES)
            super().on_epoch_end(epoch, logs)
            tell("written", (epoch + 1) * BATCHES)

    class Telling(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.before = epoch * BATCHES

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            tell("step", self.before + batch + 1)

    model = model_of(trainer.what, trainer.ballast)
    model.compile(keras.optimizers.Adam(0.05), keras.losses.CategoricalCrossentropy(from_logits=True))
    data, steps = dataset(), kmix_tf.TrainedSteps()
    if trainer.what in MIXES:
        data = data.apply(kmix_tf.mix(layer_of(trainer.what), seed=3, initial_step=steps))
    # Keras 3 can keep the backup before the last, which Keras 2 writes as a checkpoint: never over the last.
    options = {"double_checkpoint": True} if int(keras.__version__.split(".")[0]) >= 3 else {}
    backup = Backup(str(folder / "backup"), **options)
    model.fit(data, epochs=STEPS // BATCHES, callbacks=[backup, steps, Telling()], verbose=0)
    return model.get_weights()


def train(trainer: Trainer, folder: pathlib.Path, connection: Any, fills_at: int) -> None:
    """The process: trains to the end, and writes the weights.

    fills_at: the step at whose checkpoint the disk is full.
    """
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    import keras
    import numpy as np
    import tensorflow as tf

    def tell(what: str, number: Any) -> None:
        if what == "writing" and number >= fills_at:
            fill(folder)
        connection.send((what, number))
        # So that whoever listens can kill at this step, not some steps later.
        time.sleep(0.01 if what == "step" else 0)

    tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(1)
    try:
        weights = (loop if trainer.loop else fit)(trainer, folder, tell)
    except BaseException:
        connection.send(("error", traceback.format_exc()))
        raise
    np.savez(folder / "weights.part.npz", *weights)
    os.replace(folder / "weights.part.npz", folder / "weights.npz")


FILLER = "filler"


def fill(folder: pathlib.Path) -> None:
    """Leaves no room on the disk of a folder, where it has one of its own; else in files that this process writes."""
    if not os.path.ismount(folder):
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (256, resource.RLIM_INFINITY))
        return
    with contextlib.suppress(OSError), open(folder / FILLER, "ab", buffering=0) as file:
        while True:
            file.write(bytes(256))
