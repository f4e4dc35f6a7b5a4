"""What all benchmarks share: rounds in which every contestant runs, ratios within a round, the machine, tables, JSON.

A benchmark is a module `benchmarks/<name>.py` that says what it is by

    TITLE = "What a mix costs"
    def measure(quick: bool, rounds: int | None) -> dict: ...   # plain numbers, lists and strings by name
    def markdown(results: dict) -> str: ...                     # tables of them, and what they are of
    def goals(results: dict) -> list[dict]: ...                 # if there are any: each made by `goal`

and ends with `main(__name__, __doc__)`, if it is run by itself. Then

    python benchmarks/<name>.py            # the tables on the terminal
    python benchmarks/<name>.py --json     # for machines
    python benchmarks/<name>.py --write    # also into benchmarks/<name>.md and .json
    python benchmarks/<name>.py --quick    # that it runs: tiny sizes, numbers of no worth
    python benchmarks/run.py               # all of them, one after another, and which goals are met

Machines are noisy: what slows a whole round down falls out of a ratio that is taken within it.
"""

import argparse
import json
import os
import pathlib
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import scipy
import tensorflow as tf
from tqdm import tqdm

HERE = pathlib.Path(__file__).parent


def interleaved(
    contestants: Mapping[str, Callable[[], Any]], rounds: int, title: str, seconds: float | None = None
) -> dict[str, list[float]]:
    """Milliseconds of a call of each contestant in each round. Who begins changes from round to round.

    Warm them up before: compiled functions compile in their first call. Whoever has had so many seconds, and three
    rounds, sits out all rounds that are left: its list is shorter then.
    """
    times: dict[str, list[float]] = {name: [] for name in contestants}
    names = list(contestants)
    for number in tqdm(range(rounds), desc=title, disable=None):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            if seconds is not None and number >= 3 and sum(times[name]) > 1e3 * seconds:
                continue
            start = time.perf_counter()
            contestants[name]()
            times[name].append(1e3 * (time.perf_counter() - start))
    return times


def affordable(call: Callable[[], Any], seconds: float, most: int = 1000) -> int:
    """How many calls take about so many seconds, at least one. The call has been made before."""
    start = time.perf_counter()
    call()
    return min(most, max(1, round(seconds / (time.perf_counter() - start))))


def compared(times: Mapping[str, Sequence[float]], beside: str | Mapping[str, str] | None, per: Any = 1) -> dict:
    """For each contestant, {"ms": median, "ratio": median, "quartiles": [low, high]} of its rounds.

    Args:
        times: milliseconds by name, one of each round. beside: whose time in the same round the ratio is to: a name,
            or one for each name; None: no ratios. per: what a call's time is divided by, batches as a rule: a number,
            or one for each name.
    """
    rows = {}
    for name, values in times.items():
        ours = np.array(values) / _of(per, name)
        rows[name] = {"ms": statistics.median(ours.tolist())}
        peer = _of(beside, name)
        if peer is not None and peer in times:
            both = min(len(ours), len(times[peer]))  # Rounds that either sat out are the last ones.
            ratios = ours[:both] / (np.array(times[peer])[:both] / _of(per, peer))
            low, middle, high = (float(each) for each in np.quantile(ratios, [0.25, 0.5, 0.75]))
            rows[name] |= {"ratio": middle, "quartiles": [low, high]}
    return rows


def _of(value: Any, name: str) -> Any:
    return value[name] if isinstance(value, Mapping) else value


def batches(iterator: Any, number: int) -> Callable[[], None]:
    """A contestant: so many batches of an iterator."""

    def run() -> None:
        for _ in range(number):
            next(iterator)

    return run


def sequential(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """The dataset without autotuning or prefetching of `tf.data`'s own, so that its map's time is what is seen."""
    options = tf.data.Options()
    options.autotune.enabled = False
    options.experimental_optimization.inject_prefetch = False
    return dataset.with_options(options)


def goal(
    name: str, measured: float | None, at_most: float, unit: str = "", bound: float | None = None, because: str = ""
) -> dict[str, Any]:
    """A line of the table of goals.

    Args:
        measured: None if that could not be. bound: what cannot be gone below here, in the same unit; None if unknown.
        because: what the bound is made of, or else why the goal is missed.
    """
    return {
        "goal": name,
        "measured": None if measured is None else round(measured, 4),
        "at_most": at_most,
        "unit": unit,
        "bound": None if bound is None else round(bound, 4),
        "because": because,
    }


def cell(row: Mapping[str, Any], digits: int = 2) -> str:
    """A ratio with its quartiles, as a table shows it; empty where there is none."""
    if "ratio" not in row:
        return ""
    return f"{row['ratio']:.{digits}f} [{row['quartiles'][0]:.{digits}f}, {row['quartiles'][1]:.{digits}f}]"


def table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table in Markdown: words to the left, numbers to the right."""
    rows = [[str(each) for each in row] for row in rows]
    lines = ["| " + " | ".join(header) + " |", "|---|" + "--:|" * (len(header) - 1)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def machine() -> dict[str, Any]:
    """What this was measured on, and how busy it was: the load before a benchmark begins is that of others."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "system": platform.system(),
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "accelerators": [
            tf.config.experimental.get_device_details(each).get("device_name", each.name)
            for each in tf.config.list_physical_devices("GPU")
        ],
        "load": round(os.getloadavg()[0], 1),
        "date": time.strftime("%Y-%m-%d"),
    }


def _processor() -> str:
    path = pathlib.Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    named = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()


def described(of: Mapping[str, Any]) -> str:
    """The machine in a sentence."""
    devices = ", ".join(of["accelerators"]) or "no accelerator"
    return (
        f"TensorFlow {of['tensorflow']}, Keras {of['keras']}, NumPy {of['numpy']}, SciPy {of['scipy']}, "
        f"Python {of['python']}, {of['processor']}, {of['cores']} cores, {of['memory_gb']} GB, {devices}; "
        f"load before it began: {of['load']}; {of['date']}."
    )


def page(title: str, name: str, of: Mapping[str, Any], text: str) -> str:
    """What `--write` writes for people."""
    return f"# {title}\n\nMeasured by `python benchmarks/{name}.py --write`. {described(of)}\n\n{text}\n"


def report(name: str, title: str, of: Mapping[str, Any], results: Any, text: str, goals: Sequence[Any] = ()) -> None:
    """Writes what was measured, for people and for machines, beside the benchmark."""
    (HERE / f"{name}.md").write_text(page(title, name, of, text))
    (HERE / f"{name}.json").write_text(json.dumps(as_json(title, of, results, goals), indent=1) + "\n")


def as_json(title: str, of: Mapping[str, Any], results: Any, goals: Sequence[Any] = ()) -> dict[str, Any]:
    """What machines are told."""
    return {"title": title, "machine": of, "goals": list(goals), "results": results}


def main(module: str, doc: str | None) -> None:
    """The command of one benchmark, the module that calls it."""
    if module != "__main__":
        return
    me = sys.modules[module]
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, help="how many; default: as many as the benchmark takes")
    parser.add_argument("--quick", action="store_true", help="that it runs: tiny sizes, numbers of no worth")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument("--write", action="store_true", help="also write the .md and .json beside this file")
    arguments = parser.parse_args()
    if arguments.quick and arguments.write:
        parser.error("--quick measures nothing worth writing. Leave out --quick, or --write.")
    of = machine()
    results = me.measure(arguments.quick, arguments.rounds)
    text = me.markdown(results)
    goals = me.goals(results) if hasattr(me, "goals") else []
    if arguments.json:
        print(json.dumps(as_json(me.TITLE, of, results, goals)))
    else:
        print(f"{described(of)}\n\n{text}")
    if arguments.write:
        report(pathlib.Path(str(me.__file__)).stem, me.TITLE, of, results, text, goals)
