"""What mixing costs a training: whole `fit` runs, and steps, beside the same training without mixing.

    python benchmarks/training.py            # the tables on the terminal
    python benchmarks/training.py --write    # also into benchmarks/training.md and .json
    python benchmarks/training.py --quick    # that it runs: tiny sizes, numbers of no worth

Everything runs twice: on the machine as it is, and by `MirroredStrategy` on two logical devices, in a process of its
own. Where the step keeps all cores busy, what the stage computes comes on top of it, prefetched or not. So each row
has a bound besides its ratio: 1 + processor time of the stage alone / processor time of plain training.
"""

import json
import os
import statistics
import subprocess
import sys

import harness
import keras
import tensorflow as tf
from trainings import PEER, PLAIN, TABLES, processor_time

TITLE = "What mixing costs a training"
BOUND = "processor time of the stage alone on top of that of training"
REPLICAS = 2
_CHILD = "KMIX_TF_BENCHMARK_REPLICAS"


def measured(table, quick, rounds):
    """For each training: ms a step, ratio and quartiles, ratio of processor time, the bound, seconds of the whole."""
    keras.utils.set_random_seed(0)
    trainings = table.make(quick)
    rounds = rounds or (1 if quick else table.rounds)
    times = harness.interleaved(trainings, rounds, table.short)
    steps = {name: each.steps for name, each in trainings.items()}
    rows = harness.compared(times, PLAIN, steps)
    stages = {name: alone(each, 1 if quick else 3) for name, each in trainings.items()}
    plain = trainings[PLAIN]
    for name, row in rows.items():
        each = trainings[name]
        spent = [a / b for a, b in zip(each.spent[-rounds:], plain.spent[-rounds:], strict=True)]
        row["processor"] = statistics.median(spent)
        row["bound"] = 1 + (stages[name] - stages[PLAIN]) / statistics.median(plain.spent)
        # By the ratio of rounds, so that what slowed one of them down is not in it.
        row |= each.summary(row["ratio"] * rows[PLAIN]["ms"])
        row["whole ratio"] = row["whole"] / rows[PLAIN]["whole"]
    return rows


def alone(training, times):
    """Milliseconds of processor time of the stage of a call, by itself."""
    training.stage()
    return statistics.median(processor_time(training.stage) for _ in range(times))


def all_tables(quick, rounds):
    return {name: measured(table, quick, rounds) for name, table in TABLES.items()}


def on_replicas(quick, rounds):
    """All tables once more, by a process that has several logical devices."""
    environment = {**os.environ, _CHILD: json.dumps([quick, rounds])}
    command = [sys.executable, str(harness.HERE / "training.py")]
    result = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(result.stdout.splitlines()[-1])


def measure(quick: bool, rounds: int | None) -> dict:
    return {"one": all_tables(quick, rounds), "replicas": on_replicas(quick, rounds)}


def as_child(quick, rounds):
    """What the process of `on_replicas` does."""
    processor = tf.config.list_physical_devices("CPU")[0]
    devices = [tf.config.LogicalDeviceConfiguration()] * REPLICAS
    tf.config.set_logical_device_configuration(processor, devices)
    strategy = tf.distribute.MirroredStrategy([f"CPU:{number}" for number in range(REPLICAS)])
    with strategy.scope():
        print(json.dumps(all_tables(quick, rounds)))


def goals(results: dict) -> list[dict]:
    """Each row of each table has to meet the goal of its table."""
    found = []
    for where, tables in results.items():
        on = "" if where == "one" else f", {REPLICAS} replicas"
        for table, rows in tables.items():
            short, goal = TABLES[table].short, TABLES[table].goal
            for name, row in rows.items():
                if name in (PLAIN, PEER):
                    continue
                found.append(harness.goal(f"{short}, {name}{on}", row["ratio"], goal, "", row["bound"], BOUND))
    return found


def markdown(results: dict) -> str:
    parts = [
        "Ratio: to training without mixing in the same round, median and quartiles. Processor: the same ratio of "
        "processor time, of all threads. Bound: 1 + processor time of the stage alone / that of plain training: the "
        "least ratio where the step keeps all cores busy. Whole: seconds with what is done once, and its ratio."
    ]
    for where, title in (("one", "On the machine"), ("replicas", "`MirroredStrategy`, two logical devices")):
        parts.append(f"## {title}")
        parts += [section(TABLES[name], rows) for name, rows in results[where].items()]
    return "\n\n".join(parts)


def section(table, rows):
    lines = []
    for name, row in rows.items():
        others = [f"{row[key]:.2f}" for key in ("processor", "bound", "whole", "whole ratio")]
        lines.append([name, f"{row['ms']:.2f}", harness.cell(row), *others])
    header = ["", "ms a step", "ratio", "processor", "bound", "whole, s", "whole ratio"]
    return f"{table.what} Goal: {table.goal}.\n\n{harness.table(header, lines)}"


if _CHILD in os.environ and __name__ == "__main__":
    as_child(*json.loads(os.environ[_CHILD]))
else:
    harness.main(__name__, __doc__)
