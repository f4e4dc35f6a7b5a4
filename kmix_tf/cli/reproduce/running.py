"""Seeds are measured in processes of their own, several at a time."""

import concurrent.futures
import multiprocessing
import os
import threading
import time
import traceback
from collections.abc import Generator, Mapping, Sequence
from typing import Any, NamedTuple

from kmix_tf._stopping import deaf_children, held
from kmix_tf.cli.reproduce.finding import load
from kmix_tf.cli.reproduce.keeping import rounded
from kmix_tf.cli.terminal import UserError
from kmix_tf.paired import Cells, Runs

# One is enough for networks as small as here; what two processes ask of two cores is then about two cores' work.
_THREADS = 1


class Task(NamedTuple):
    """One seed of one experiment. folder: that of `experiments`."""

    name: str
    seed: int
    settings: Mapping[str, Any]
    data_dir: str | None
    folder: str


class Done(NamedTuple):
    """A task, its cells, and how long it took; or no cells, and what went wrong."""

    task: Task
    cells: Cells
    seconds: float
    error: str = ""


def run(tasks: Sequence[Task], jobs: int) -> Generator[Done, None, None]:
    """What each task finds, in the order in which they end.

    Raises:
        UserError: if a process dies. What has ended by then has been yielded.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before the processes begin: it is read once
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(jobs, context, _begin, (os.getpid(),)) as pool:
        try:
            with held(), deaf_children():
                waiting = {pool.submit(_measure, task): task for task in tasks}
            for future in concurrent.futures.as_completed(waiting):
                yield _ended(future, waiting[future])
        except BaseException:
            # What has begun cannot be stopped, but by ending its process; nothing waits for it.
            pool.shutdown(wait=False, cancel_futures=True)
            for process in multiprocessing.active_children():
                process.terminate()
            raise


def _ended(future: concurrent.futures.Future, task: Task) -> Done:
    try:
        done: Done = future.result()
        return done
    except concurrent.futures.process.BrokenProcessPool as error:
        raise UserError(
            f"a process ended before it was done, at or beside seed {task.seed} of {task.name}; most likely there "
            "was too little memory. Seeds that were done are kept. Try fewer with --jobs 1."
        ) from error


def _begin(parent: int) -> None:
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(_THREADS)
    tf.config.threading.set_inter_op_parallelism_threads(2)


def _end_with(parent: int) -> None:
    """Ends this process when the one that began it is gone."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def _measure(task: Task) -> Done:
    import keras

    experiment = load(task.name, task.folder)
    started = time.monotonic()
    keras.backend.clear_session()
    # Before anything is drawn, so that nothing depends on what this process did before.
    keras.utils.set_random_seed(task.seed)
    settings = {**task.settings, **({"data_dir": task.data_dir} if experiment.reads_data else {})}
    try:
        cells = rounded(experiment.measure(task.seed, **settings))
        experiment.judged(Runs(task.settings, {task.seed: cells}))
    except UserError as error:
        return Done(task, {}, 0.0, error.message)
    except Exception as error:
        # For whoever mends it; a person at the terminal reads the last line.
        traceback.print_exc()
        return Done(task, {}, 0.0, f"{type(error).__name__}: {error}")
    return Done(task, cells, time.monotonic() - started)
