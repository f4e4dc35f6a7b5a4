"""Which goals are met: goals.md, made of what the parts of the suite measured last.

python benchmarks/goals.py    # shows it; `python benchmarks/run.py --write` writes it
"""

import json
import pathlib
from collections.abc import Mapping
from typing import Any

HERE = pathlib.Path(__file__).parent
# In the order in which they run. Each is a module as harness.py says; one that is not there is left out. footprint.py
# is not among them: written by the way, its stored table would take in every growth that it is there to show.
PARTS = (
    "mix_cost",
    "stage_profile",
    "stage_memory",
    "growth",
    "assignment",
    "match_at",
    "match_at_training",
    "puzzle",
    "epoch_start",
    "first_call",
    "training",
    "model_cost",
    "saliency_pass",
    "accelerator",
)


def written() -> dict[str, Any]:
    """What has been measured before and lies beside the parts."""
    files = {name: HERE / f"{name}.json" for name in PARTS}
    return {name: json.loads(file.read_text()) for name, file in files.items() if file.exists()}


def verdict(goal: Mapping[str, Any]) -> str:
    """In a word, or two."""
    if goal["measured"] is None:
        return "not measured"
    return "met" if goal["measured"] <= goal["at_most"] else "missed"


def table(parts: Mapping[str, Any]) -> str:
    """The goals of all parts, in Markdown."""
    rows = ["| goal | at most | measured | | bound | what the bound is of |", "|---|--:|--:|---|--:|---|"]
    for name, part in parts.items():
        for goal in part.get("goals", []):
            cells = (_shown(goal[key]) for key in ("at_most", "measured", "bound"))
            at_most, number, bound = cells
            rows.append(
                f"| [{goal['goal']}]({name}.md) | {at_most} {goal['unit']} | {number} | {verdict(goal)} | {bound} | "
                f"{goal['because']} |"
            )
    return "\n".join(rows)


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def page(parts: Mapping[str, Any]) -> str:
    """goals.md: the table, how many are met, and where each part was measured."""
    verdicts = [verdict(goal) for part in parts.values() for goal in part.get("goals", [])]
    machines = dict.fromkeys(_where(part["machine"]) for part in parts.values() if part.get("goals"))
    return "\n".join(
        [
            "# Goals",
            "",
            f"Of {len(verdicts)} goals, {verdicts.count('met')} are met, {verdicts.count('missed')} missed, "
            f"{verdicts.count('not measured')} not measured. Written by `python benchmarks/run.py --write`, from "
            f"what the parts measured on {'; '.join(machines)}. Bound: what no implementation can leave out, as the "
            "part measured it, in the same unit. Where a stage's time goes is in "
            "[the stages' profile](stage_profile.md).",
            "",
            table(parts),
            "",
        ]
    )


def _where(machine: Mapping[str, Any]) -> str:
    return f"{machine['processor']}, {machine['cores']} cores, TensorFlow {machine['tensorflow']}, {machine['date']}"


if __name__ == "__main__":
    print(page(written()))
