"""An hour of mixing: whether memory grows, threads stay, and batches take as long as at first.

SOAK_MINUTES=3 python reliability/soak.py    # how long it takes, about; 60 is what is written

Batch sizes go from 1 to 257. In a pipeline XLA compiles anew for each, for good, so each pipeline meets all of them
three times before anything is measured, and then again and again.
"""

import gc
import importlib.util
import os
import pathlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from harness import Row, main

import kmix_tf

TITLE = "Soak"
MINUTES = float(os.environ.get("SOAK_MINUTES", "60"))
SHORT_SECONDS = 4.0
SIZES = (1, 2, 3, 16, 64, 128, 200, 257)
# MB an hour: what the process may grow by beyond the unmixed control, and how much slower the end may be.
GROWTH, SLOWER = 60.0, 0.7
SHORT_SIZES = (1, 16, 257)
tf.get_logger().setLevel("ERROR")


def measure(short: bool) -> Iterator[Row]:
    """The rows."""
    seconds = SHORT_SECONDS if short else MINUTES * 60 / 3
    control = soaked({"no mix": pipeline(None, sizes_of(short))}, seconds / 4, short)
    yield from rows("in a pipeline", soaked(pipelines(short), seconds, short), control, short)
    control = soaked({"no mix": steps(lambda model: model, sizes_of(short))}, seconds / 4, short)
    yield from rows("in training", soaked(trainings(short), seconds, short), control, short)


def layers() -> dict[str, Callable[[], Any]]:
    """All that the tests of layers know, which take images (batch, 4, 6, 1) and integer labels of 3 classes."""
    file = pathlib.Path(__file__).parents[1] / "tests" / "layers" / "conftest.py"
    spec = importlib.util.spec_from_file_location("layers_of_the_tests", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.LAYERS


def batches(sizes: Sequence[int]) -> tf.data.Dataset:
    """One batch of each size, for ever."""

    def batch(size: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        x = tf.random.stateless_uniform(tf.stack([size, 4, 6, 1]), tf.stack([size, 1]))
        return tf.ensure_shape(x, [None, 4, 6, 1]), tf.range(size) % 3

    return tf.data.Dataset.from_tensor_slices(list(sizes)).repeat().map(batch)


def pipeline(make: Callable[[], Any] | None, sizes: Sequence[int]) -> Callable[[], None]:
    """What takes the next batch."""
    data = batches(sizes)
    if make is not None:
        data = data.apply(kmix_tf.mix(make(), seed=0, initial_step=0))
    iterator = iter(data.prefetch(1))
    return lambda: tf.nest.map_structure(np.asarray, next(iterator)) and None


def pipelines(short: bool) -> dict[str, Callable[[], None]]:
    """One of each layer; in short, of every sixteenth."""
    return {name: pipeline(make, sizes_of(short)) for name, make in list(layers().items())[:: 16 if short else 1]}


def steps(wrap: Callable[[Any], Any], sizes: Sequence[int]) -> Callable[[], None]:
    """What trains for one epoch of all sizes."""
    network = keras.Sequential(
        [
            keras.layers.Input((4, 6, 1)),
            keras.layers.Flatten(name="flat"),
            keras.layers.Dense(8, "relu", name="hidden"),
            keras.layers.Dense(3),
        ]
    )
    model = wrap(network)
    model.compile("sgd", keras.losses.CategoricalCrossentropy(from_logits=True))
    data = batches(sizes).map(lambda x, y: (x, tf.one_hot(y, 3))).take(len(sizes))
    return lambda: model.fit(data, verbose=0) and None


def trainings(short: bool) -> dict[str, Callable[[], None]]:
    """The models that mix in their step."""
    models: dict[str, Callable[[Any], Any]] = {
        "MixModel": lambda model: kmix_tf.MixModel(model, kmix_tf.CutMixLayer()),
        "ManifoldMixModel": lambda model: kmix_tf.ManifoldMixModel(model, ["hidden"], kmix_tf.MixLayer()),
        "MixModel, graph": lambda model: kmix_tf.MixModel(model, kmix_tf.KMixupLayer(4, solver="graph")),
        "MixModel, host": lambda model: kmix_tf.MixModel(model, kmix_tf.KMixupLayer(4)),
    }
    return {name: steps(wrap, sizes_of(short)) for name, wrap in list(models.items())[: 2 if short else None]}


def sizes_of(short: bool) -> tuple[int, ...]:
    """The sizes of batches."""
    return SHORT_SIZES if short else SIZES


class Soak:
    """What was seen: calls, and at each round the time, seconds of the processor, memory in MB, and threads."""

    def __init__(self) -> None:
        self.calls = 0
        self.rounds: list[tuple[float, float, float, int]] = []

    def growth(self) -> float:
        """MB an hour, by least squares."""
        times, _, memory, _ = np.array(self.rounds).T
        return float(np.polyfit(times - times[0], memory, 1)[0] * 3600) if len(times) > 2 else 0.0

    def threads(self) -> tuple[int, int]:
        """At first and at last: medians of a fifth of the rounds each."""
        fifth, seen = max(len(self.rounds) // 5, 1), [each for *_, each in self.rounds]
        return int(np.median(seen[:fifth])), int(np.median(seen[-fifth:]))

    def speed(self) -> float:
        """Batches a second of the processor in the last tenth of the rounds, of those in the first.

        Of its own time: what else the machine does comes and goes.
        """
        took = np.diff([seconds for _, seconds, *_ in self.rounds])
        tenth = max(len(took) // 10, 1)
        return float(np.median(took[:tenth]) / np.median(took[-tenth:]))


def soaked(calls: dict[str, Callable[[], None]], seconds: float, short: bool) -> Soak:
    """Calls all in turn until time is up, after each has met each size three times."""
    times = len(sizes_of(short))
    for call in calls.values():
        for _ in range(3 * times):
            call()
    found, began = Soak(), time.monotonic()
    while time.monotonic() < began + seconds or len(found.rounds) < 10:
        for call in calls.values():
            for _ in range(times):
                call()
        found.calls += len(calls) * times
        found.rounds.append((time.monotonic(), time.process_time(), megabytes(), os_threads()))
        if len(found.rounds) % 50 == 0:
            gc.collect()
    return found


def rows(where: str, found: Soak, control: Soak, short: bool) -> Iterator[Row]:
    """What a soak says, one line for each question. In ten seconds a slope says nothing: it is told, not asked."""
    growth, alone = found.growth(), control.growth()
    is_steady = short or growth <= max(alone, 0) + GROWTH
    told = f"{growth:+.0f} MB an hour over {found.rounds[-1][0] - found.rounds[0][0]:.0f} s"
    yield Row(
        f"calls {where}: memory grows by less than {GROWTH:.0f} MB an hour more than without a mix",
        found.calls,
        found.calls if is_steady else 0,
        f"{alone:+.0f} MB an hour",
        told,
    )
    first, last = found.threads()
    yield Row(f"threads {where}: as many at the end", 1, int(last <= first + 2), "", f"{first}, then {last}")
    speed, of_control = found.speed(), control.speed()
    held = int(short or speed > SLOWER)
    tried = f"batches {where} per second of the processor: as at the beginning"
    yield Row(tried, 1, held, f"{of_control:.2f}", f"{speed:.2f} of it at the end")


def megabytes() -> float:
    """Memory in use by this process."""
    status = pathlib.Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) / 1024


def os_threads() -> int:
    """Threads of this process, those of TensorFlow among them."""
    tasks = pathlib.Path("/proc/self/task")
    return len(list(tasks.iterdir())) if tasks.exists() else threading.active_count()


main(__name__, __doc__)
