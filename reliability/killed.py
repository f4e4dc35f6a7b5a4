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
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from harness import Row, main
from trainers.saving import BATCHES, CONTROL, FILLER, MIXES, MODELS, STEPS, Trainer, train

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

TITLE = "A trainer that is killed"

SECONDS = 600  # for one process, on a machine that does other things as well


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
    """Starts the trainer for the last time; the weights, or None where it fails, and says why."""
    import numpy as np

    last = run(trainer, folder)
    if last.status:
        print(f"{trainer} does not end, started again:\n{last.error}", file=sys.stderr)
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
    """The same, killed after this part of the time that a checkpoint takes; and whether it was being written."""
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
    with place("64m") as folder:
        failed = run(trainer, folder, fills_at=step)
        (folder / FILLER).unlink(missing_ok=True)
        says = failed.error.strip().splitlines()[-1] if failed.error else ""
        equal = ended(trainer, folder) == unbroken(trainer)[0]
        return failed.status == 1 and str(folder) in failed.error and equal, says


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
    # Keras writes its backups over each other, for which even a full disk has room, from the third on.
    within = range(2 * BATCHES, STEPS - BATCHES) if loop else range(BATCHES + 1, 2 * BATCHES + 1)
    steps = draw.sample(within, times)
    mix = Trainer("k-mixup", loop, ballast=8)
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
        # Each mix once, in one way or the other.
        trainers = [each for each in trainers if each.loop == (each.what == "a ChoiceLayer") or each.what == MIXES[0]]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        yield from at_steps(pool, trainers, 1 if short else 10)
        for is_loop in (True,) if short else (True, False):
            yield in_writing(pool, is_loop, 1 if short else 10)
            yield on_full_disk(pool, is_loop, 1 if short else 3)


main(__name__, __doc__)
