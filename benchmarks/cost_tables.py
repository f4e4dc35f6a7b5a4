"""The tables of costs in README.md and docs/costs.md, made of what the parts of the suite measured last.

`python benchmarks/cost_tables.py` writes them, and so does `python benchmarks/run.py --write`.
"""

import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import goals
import harness
from goals import verdict

README = goals.HERE.parent / "README.md"
COSTS = goals.HERE.parent / "docs" / "costs.md"
PLACE = re.compile(r"(?<=<!-- costs -->\n).*?(?=<!-- /costs -->)", re.DOTALL)
COLUMNS = {
    "128 images 32x32x3": "128 of 32x32",
    "512 images 32x32x3": "512 of 32x32",
    "64 images 224x224x3": "64 of 224x224",
    "256 images 224x224x3": "256 of 224x224",
    "128 spectrograms 128x128": "128 spectrograms of 128x128",
    "table 1,024 x 100": "table of 1,024 x 100",
}
ROWS = {
    "KMixupLayer(1)": "`KMixupLayer(1)`: mixup",
    "KMixupLayer(32)": "`KMixupLayer(32)`",
    "KMixupLayer(32), pooled": "the same, `match_at=Pooled(8)`",
    "LocalMixupLayer()": "`LocalMixupLayer()`",
    "CutMixLayer()": "`CutMixLayer()`",
    "MultiMixLayer(5), per mixture": "`MultiMixLayer(5)`, a mixture",
}


def cell(by_name: Mapping[str, Mapping[str, Any]], row: str, column: str) -> str:
    """Measured, bold where the goal is met; in brackets the goal and the bound. Empty where there is no goal."""
    goal = by_name.get(f"{row}, {column}")
    if goal is None:
        return ""
    number, bound = (f"{goal[key]:.2f}" for key in ("measured", "bound"))
    number = f"**{number}**" if verdict(goal) == "met" else number
    return f"{number} ({goal['at_most']:g}, {bound})"


def table(measured: Sequence[Mapping[str, Any]]) -> str:
    """A line for each mix, a column for each shape of batches."""
    by_name = {goal["goal"]: goal for goal in measured}
    rows = [[name, *(cell(by_name, row, column) for column in COLUMNS)] for row, name in ROWS.items()]
    return harness.table(["", *COLUMNS.values()], rows)


def text(parts: Mapping[str, Any]) -> str:
    """The table and what it is of, in Markdown."""
    verdicts = [verdict(goal) for part in parts.values() for goal in part.get("goals", [])]
    of = parts["mix_cost"]["machine"]
    return (
        "Time per batch, as a ratio to `keras.layers.MixUp` in the same round (of tables, to a copy of the batch); in"
        "\nbrackets our goal, bold where it is met, and the bound: what no mix can leave out. "
        f"{of['processor']}, {of['cores']} cores, {of['date']}. Of [all\n{len(verdicts)} goals]"
        f"(benchmarks/goals.md), of training, starts and assignments besides, {verdicts.count('met')} are met. "
        f"[All costs](docs/costs.md).\n\n{table(parts['mix_cost']['goals'])}\n"
    )


SHORT = {
    "mixup, `KMixupLayer(1)`": "KMixupLayer(1)",
    "k-mixup, `KMixupLayer(32)`": "KMixupLayer(32)",
    "`LocalMixupLayer()`": "LocalMixupLayer()",
    "`CutMixLayer()`": "CutMixLayer()",
    "Keras' own `MixUp`": "keras.layers.MixUp",
    "Keras' own `CutMix`": "keras.layers.CutMix",
}
SMALL, LARGE = "128 images 32x32x3", "64 images 224x224x3"


def short(parts: Mapping[str, Any]) -> str:
    """What a user pays: milliseconds of a batch, beside the peer; and what becomes of a training step."""
    mixes, steps = parts["mix_cost"]["results"]["float32"], parts["training"]["results"]["one"]["resnet"]

    def cost(shape: str, name: str) -> str:
        row = mixes[shape][name]
        return f"{row['ms']:.1f} ms, {row['ratio']:.2f} times"

    def step(name: str) -> str:
        longer = round(100 * steps[name]["ratio"] - 100) if name in steps else None
        return "" if longer is None else f"{longer:+d} %" if longer else "0 %"

    rows = [[called, cost(SMALL, name), cost(LARGE, name), step(name)] for called, name in SHORT.items()]
    head = ["a batch of", SMALL.replace(" images ", " of "), LARGE.replace(" images ", " of "), "a step of a ResNet"]
    missed = [goal for part in parts.values() for goal in part.get("goals", []) if verdict(goal) == "missed"]
    return (
        f"{harness.table(head, rows)}\n\nHow many times: of what `keras.layers.MixUp` takes in the same round. A "
        "step: of a ResNet of ten convolutions, batches of 128 of 32x32x3, the mix prefetched; 1 % is noise.\n"
        f"{len(missed)} of our [goals](benchmarks/goals.md) are missed.\n"
    )


def write(parts: Mapping[str, Any], readme: pathlib.Path | None = None, costs: pathlib.Path | None = None) -> None:
    """Puts both into their places, as far as they have been measured. What stands around them stays."""
    if "mix_cost" in parts:
        _replace(readme or README, text(parts))
        if "training" in parts:
            _replace(costs or COSTS, short(parts))


def _replace(file: pathlib.Path, text: str) -> None:
    file.write_text(PLACE.sub(lambda _: text, file.read_text()))


if __name__ == "__main__":
    write(goals.written())
