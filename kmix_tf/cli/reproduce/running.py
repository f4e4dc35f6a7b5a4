"""Seeds are measured in processes of their own, several at a time."""

import concurrent.futures
import multiprocessing
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from kmix_tf.cli.reproduce.finding import load
from kmix_tf.cli.terminal import UserError
from kmix_tf.paired import Cells

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
    """A task, its cells, and how long it took."""

    task: Task
    cells: Cells
    seconds: float


def run(tasks: Sequence[Task], jobs: int) -> Iterator[Done]:
    """What each task finds, in the order in which they end.

    Raises:
        UserError: for a task that fails. Those that have ended by then have been yielded.
    """
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(jobs, context, _begin) as pool:
        waiting = {pool.submit(_measure, task): task for task in tasks}
        try:
            yield from _ended(waiting)
        except BaseException:
            # What has begun cannot be stopped, but by ending its process; nothing waits for it.
            pool.shutdown(wait=False, cancel_futures=True)
            for process in multiprocessing.active_children():
                process.terminate()
            raise


def _ended(waiting: Mapping[concurrent.futures.Future, Task]) -> Iterator[Done]:
    failed = []
    for future in concurrent.futures.as_completed(waiting):
        task = waiting[future]
        try:
            yield future.result()
        except concurrent.futures.process.BrokenProcessPool as error:
            raise UserError(
                f"a process ended before it was done, at or beside seed {task.seed} of {task.name}; most likely "
                "there was too little memory. Seeds that were done are kept. Try fewer with --jobs 1."
            ) from error
        except UserError as error:
            failed.append(error.message)
        except Exception as error:
            failed.append(f"{type(error).__name__}: {error}")
        if failed:
            raise UserError(f"seed {task.seed} of {task.name} failed. {failed[0]}")


def _begin() -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(_THREADS)
    tf.config.threading.set_inter_op_parallelism_threads(2)


def _measure(task: Task) -> Done:
    import keras

    experiment = load(task.name, task.folder)
    started = time.monotonic()
    keras.backend.clear_session()
    # Before anything is drawn, so that nothing depends on what this process did before.
    keras.utils.set_random_seed(task.seed)
    settings = {**task.settings, **({"data_dir": task.data_dir} if experiment.reads_data else {})}
    return Done(task, experiment.measure(task.seed, **settings), time.monotonic() - started)
