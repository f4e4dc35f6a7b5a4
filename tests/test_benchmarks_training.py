"""What `benchmarks/training.py` says of a training is what it measured, and it runs."""

import importlib
import json
import pathlib
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

BENCHMARKS = pathlib.Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def training():
    """The benchmark, as a module."""
    sys.path.insert(0, str(BENCHMARKS))
    yield importlib.import_module("training")
    sys.path.remove(str(BENCHMARKS))


class Known:
    """A training of 4 steps whose times are known: of the clock on the wall, and of the processor, in and out."""

    steps = 4

    def __init__(self, clock, wall, step, stage):
        self.clock, self.wall, self.step, self.data, self.spent = clock, wall, step, stage, []

    def __call__(self):
        self.clock.wall += 1e-3 * self.wall
        self.spent.append(self.step)

    def stage(self):
        self.clock.processor += 1e-3 * self.data

    def summary(self, ms):
        return {"whole": 1.0 + ms}


@pytest.fixture
def clock(training, monkeypatch):
    """A clock that stands still but for what trainings add to it."""
    now = SimpleNamespace(wall=0.0, processor=0.0)
    monkeypatch.setattr(training.harness.time, "perf_counter", lambda: now.wall)
    monkeypatch.setattr(training.harness.time, "process_time", lambda: now.processor)
    return now


def test_ratios_and_the_bound_are_those_of_the_times(training, clock):
    made = {training.PLAIN: Known(clock, 40, 60, 10), "a mix": Known(clock, 50, 90, 25)}
    table = SimpleNamespace(make=lambda quick: made, rounds=3, short="known")
    rows = training.measured(table, quick=False, rounds=None)
    assert made["a mix"].spent == [90] * 3
    row = rows["a mix"]
    assert (row["ms"], row["ratio"]) == pytest.approx((50 / 4, 50 / 40))
    # Of the stage alone, what mixing adds: 25 - 10 milliseconds to the 60 that plain training takes.
    assert (row["processor"], row["bound"]) == pytest.approx((90 / 60, 1 + 15 / 60))
    assert (row["whole"], row["whole ratio"]) == pytest.approx((13.5, 13.5 / 11))
    assert rows[training.PLAIN]["ratio"] == rows[training.PLAIN]["bound"] == 1


def test_a_whole_fit_counts_what_is_done_but_once(training):
    trainings = importlib.import_module("trainings")
    data = tf.data.Dataset.from_tensor_slices(trainings.data(32, (100,))).batch(8)
    fit = trainings.Fit(lambda: trainings.networks.small_mlp(100, 4), data, epochs=2, whole=25)
    assert fit.steps == 2 * 4
    # An epoch of 4 steps of 1,000 ms takes 4 s; the first one took what it took.
    assert fit.summary(1000.0)["whole"] == pytest.approx(fit.first + 24 * 4)
    before = int(fit.model.optimizer.iterations)
    fit()
    assert int(fit.model.optimizer.iterations) - before == fit.steps and fit.spent[0] > 0


def test_steps_go_on_where_they_were(training):
    trainings = importlib.import_module("trainings")
    features, labels = trainings.data(8, (100,))
    seen = []

    def look(x):
        seen.append(float(x))
        return np.float32(x)

    numbers = tf.data.Dataset.counter().map(lambda i: tf.numpy_function(look, [i], tf.float32, stateful=False))
    data = numbers.map(lambda i: (features + 0 * tf.ensure_shape(i, []), labels))
    steps = trainings.Steps(lambda: trainings.networks.small_mlp(100, 4), data, steps=3, epoch=391)
    before = int(steps.model.optimizer.iterations)
    steps()
    steps()
    assert int(steps.model.optimizer.iterations) - before == 2 * 3
    assert max(seen) >= 5


def test_every_mix_of_a_table_has_its_goal_and_its_line(training):
    row = {"ms": 1.0, "ratio": 1.2, "quartiles": [1.1, 1.3]}
    row |= {"processor": 1.3, "bound": 1.1, "whole": 9.0, "whole ratio": 1.4}
    rows = {training.PLAIN: row, "a mix": row, training.PEER: row}
    results = {where: dict.fromkeys(training.TABLES, rows) for where in ("one", "replicas")}
    text = training.markdown(results)
    assert text.count("| a mix | 1.00 | 1.20 [1.10, 1.30] | 1.30 | 1.10 | 9.00 | 1.40 |") == 2 * len(training.TABLES)
    assert all(f"Goal: {table.goal}." in text for table in training.TABLES.values())
    assert "`MirroredStrategy`" in text


@pytest.mark.parametrize("name", ["mlp", pytest.param("multimix", marks=pytest.mark.matrix)])
def test_a_table_is_measured(training, name):
    rows = training.measured(training.TABLES[name], quick=True, rounds=1)
    assert rows[training.PLAIN]["ratio"] == 1 and len(rows) > 2
    assert all(row["ms"] > 0 and row["whole"] > 0 and row["processor"] > 0 for row in rows.values())


@pytest.mark.matrix
def test_all_is_measured_on_one_device_and_on_replicas():
    command = [sys.executable, str(BENCHMARKS / "training.py"), "--quick", "--json"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr[-3000:]
    results = json.loads(result.stdout.splitlines()[-1])["results"]
    assert results["one"].keys() == results["replicas"].keys() == {"cnn", "resnet", "mlp", "multimix"}
    names = {name: list(rows) for name, rows in results["one"].items()}
    assert names == {name: list(rows) for name, rows in results["replicas"].items()}
