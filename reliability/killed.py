"""A trainer that is killed at any step, and started again by the same command until it ends: are the weights those of
a run that nobody killed, bit by bit? Beside each mix stands the same training without one, killed at the same steps.

Trainers are processes of their own: loops that save iterator, model and optimizer by `tf.train.Checkpoint`, and `fit`
with `BackupAndRestore`. They are killed by SIGKILL at a step, or while a checkpoint is written; or the disk is full.
"""

import concurrent.futures
import contextlib
import functools
import multiprocessing
import multiprocessing.connection
import os
import pathlib
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from harness import Row, main

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

TITLE = "A trainer that is killed"

BATCHES = 4
STEPS = 32  # of a training: 8 epochs
EVERY = 3  # steps between checkpoints of a loop
SECONDS = 600  # for one process, on a machine that does other things as well

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


# ------------------------------------------------------------------------------------------- what a trainer does


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


def network(ballast: int = 0) -> Any:
    import keras
    import numpy as np

    inputs = keras.layers.Input((6, 1))
    hidden = keras.layers.Dense(8, activation="tanh", name="hidden")(keras.layers.Flatten()(inputs))
    model = keras.Model(inputs, keras.layers.Dense(4)(hidden))
    if ballast:
        weight = model.get_layer("hidden").add_weight
        shape, zeros = (ballast * 2**18,), keras.initializers.Zeros()
        weight(name="ballast", shape=shape, initializer=zeros, trainable=False, dtype=np.float32)
    return model


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
        optimizer.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))

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


# ------------------------------------------------------------------------------------------- what is done to it


class Ended(NamedTuple):
    """How a process ended: status, as Popen's; the last message; seconds that its checkpoints took; its error."""

    status: int
    last: tuple[str, Any]
    writing: list[float]
    error: str


@functools.cache
def server() -> Any:
    """Makes processes that need not import TensorFlow."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tensorflow", "keras", "kmix_tf"])
    return context


def run(
    trainer: Trainer,
    folder: pathlib.Path,
    kills: Callable[[str, Any], bool] = lambda *_: False,
    after: float = 0,
    fills_at: int = 10**9,
) -> Ended:
    """Starts the trainer, and kills it with the message that `kills` says, or so many seconds after it."""
    ours, theirs = server().Pipe(duplex=False)
    process = server().Process(target=train, args=(trainer, folder, theirs, fills_at))
    process.start()
    theirs.close()
    last, writing, error, began, until = ("", 0), [], "", 0.0, time.monotonic() + SECONDS
    try:
        with contextlib.suppress(EOFError):
            while ours.poll(max(until - time.monotonic(), 0)):
                last = what, number = ours.recv()
                if what == "writing":
                    began = time.monotonic()
                elif what == "written":
                    writing.append(time.monotonic() - began)
                elif what == "error":
                    error = number
                if kills(what, number):
                    time.sleep(after)
                    process.kill()
    finally:
        process.kill()
        process.join()
    return Ended(process.exitcode, last, writing, error)


@contextlib.contextmanager
def place(size: str = "") -> Iterator[pathlib.Path]:
    """A folder for one training; on a disk of its own, where a size is given and the machine allows it."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="killed-"))
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    mounted = bool(size) and shutil.which("mount") and not subprocess.run(mount, capture_output=True).returncode
    try:
        yield folder
    finally:
        if mounted:
            subprocess.run(["umount", str(folder)], check=True)
        shutil.rmtree(folder)


def ended(trainer: Trainer, folder: pathlib.Path) -> list[bytes] | None:
    """Starts the trainer for the last time; the weights, or None where it fails. They are of no use to later runs."""
    import numpy as np

    if run(trainer, folder).status:
        return None
    with np.load(folder / "weights.npz") as weights:
        return [weights[name].tobytes() for name in weights.files]


@functools.cache
def unbroken(trainer: Trainer) -> tuple[list[bytes], float]:
    """The weights of a run that nobody killed, and how long a checkpoint of it takes."""
    import numpy as np

    with place() as folder:
        whole = run(trainer, folder)
        if whole.status:
            raise RuntimeError(f"{trainer} does not end:\n{whole.error}")
        with np.load(folder / "weights.npz") as weights:
            return [weights[name].tobytes() for name in weights.files], float(np.median(whole.writing))


def survives(trainer: Trainer, steps: list[int]) -> bool:
    """Whether a training that is killed at each of these steps ends as one that is not."""
    with place() as folder:
        for step in steps:
            killed = run(trainer, folder, lambda what, number, at=step: what == "step" and number >= at)
            if killed.status != -signal.SIGKILL:
                raise RuntimeError(f"{trainer} was not killed at step {step}, but ended first:\n{killed.error}")
        return ended(trainer, folder) == unbroken(trainer)[0]


def survives_in_writing(trainer: Trainer, step: int, part: float) -> tuple[bool, bool]:
    """The same, killed when this part of the time is over that a checkpoint takes; and whether it was being written."""
    with place() as folder:
        killed = run(
            trainer,
            folder,
            lambda what, number: what == "writing" and number >= step,
            after=part * unbroken(trainer)[1],
        )
        return ended(trainer, folder) == unbroken(trainer)[0], killed.last[0] == "writing"


def survives_full_disk(trainer: Trainer, step: int) -> tuple[bool, str]:
    """Whether the trainer, whose disk is full from this step on until it is started again, says which file and ends
    as if it had not been; and what it says."""
    with place("32m") as folder:
        failed = run(trainer, folder, fills_at=step)
        (folder / FILLER).unlink(missing_ok=True)
        says = failed.error.strip().splitlines()[-1] if failed.error else ""
        equal = ended(trainer, folder) == unbroken(trainer)[0]
        return failed.status == 1 and str(folder) in failed.error and equal, says


# ------------------------------------------------------------------------------------------- the rows


def control_of(trainer: Trainer) -> Trainer:
    return trainer._replace(what=CONTROL)


def at_steps(pool: concurrent.futures.Executor, trainers: list[Trainer], times: int) -> Iterator[Row]:
    """A row for each trainer, killed at steps drawn by chance, all at the same."""
    steps = sorted(random.Random(0).sample(range(2, STEPS), times))
    controls = [Trainer(CONTROL, loop=True), Trainer(CONTROL, loop=False)]
    found = {each: pool.submit(survives, each, steps) for each in controls + trainers}
    for each in trainers:
        held = times * found[each].result()
        control = times * found[control_of(each)].result()
        at = f"killed at steps {', '.join(map(str, steps))} of {STEPS}"
        tried = f"SIGKILL at a step, then the same command: {each.what}, {each.way}"
        yield Row(tried, times, held, f"weights equal after {control} of {times}", at)


def in_writing(pool: concurrent.futures.Executor, loop: bool, times: int) -> Row:
    """A kill while a checkpoint of 8 MB is written."""
    draw = random.Random(1)
    # Later than the first checkpoint, so that there is one to lose.
    drawn = [(draw.randrange(2 * BATCHES, STEPS - BATCHES), draw.random()) for _ in range(times)]
    mix, control = Trainer("k-mixup", loop, ballast=8), Trainer(CONTROL, loop, ballast=8)
    found = {each: [pool.submit(survives_in_writing, each, *at) for at in drawn] for each in (mix, control)}
    results = {each: [one.result() for one in found[each]] for each in found}
    held = {each: sum(equal for equal, _ in results[each]) for each in results}
    within = {each: sum(was_writing for _, was_writing in results[each]) for each in results}
    return Row(
        f"SIGKILL while a checkpoint is written, then the same command: k-mixup, {mix.way}",
        times,
        held[mix],
        f"weights equal after {held[control]} of {times}, of which {within[control]} fell into the writing",
        f"{within[mix]} of {times} fell into the writing",
    )


def on_full_disk(pool: concurrent.futures.Executor, loop: bool, times: int) -> Row:
    draw = random.Random(2)
    steps = [draw.randrange(2 * BATCHES, STEPS - BATCHES) for _ in range(times)]
    mix = Trainer("k-mixup", loop, ballast=2)
    found = {each: [pool.submit(survives_full_disk, each, at) for at in steps] for each in (mix, control_of(mix))}
    results = {each: [one.result() for one in found[each]] for each in found}
    held = {each: sum(holds for holds, _ in results[each]) for each in results}
    return Row(
        f"A full disk ends the training with an error that names the file, and later the same command: {mix.what}, "
        f"{mix.way}",
        times,
        held[mix],
        f"held {held[control_of(mix)]} of {times}",
    )


def measure(short: bool) -> Iterator[Row]:
    """The rows, of trainings that run two at a time."""
    trainers = [Trainer(what, loop=True) for what in MIXES]
    trainers += [Trainer(what, loop=False) for what in (*MIXES, *MODELS)]
    if short:
        trainers = [each for each in trainers if not each.loop or each.what in ("k-mixup", "a ChoiceLayer")]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        yield from at_steps(pool, trainers, 1 if short else 10)
        for is_loop in (True,) if short else (True, False):
            yield in_writing(pool, is_loop, 1 if short else 10)
            yield on_full_disk(pool, is_loop, 1 if short else 3)


main(__name__, __doc__)
