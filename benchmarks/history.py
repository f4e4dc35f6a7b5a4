"""What the goals' numbers were, run by run: a line of JSON for each, in history.jsonl, the newest last.

`python benchmarks/run.py --write` appends what it has just measured. `python benchmarks/history.py` shows how the
number of each goal went.

A line: {"version": of the package, "parts": {name: {"machine": of harness.machine, "goals": {goal: measured}}}}.
Parts that have no goals are left out, and so is a run that has none.
"""

import json
import pathlib
from collections.abc import Mapping
from typing import Any

HERE = pathlib.Path(__file__).parent
FILE = HERE / "history.jsonl"


def version() -> str:
    """The package's, without importing it."""
    names: dict[str, Any] = {}
    exec((HERE.parent / "kmix_tf" / "_version.py").read_text(), names)
    return names["__version__"]


def line(parts: Mapping[str, Any]) -> dict[str, Any] | None:
    """What is kept of a run; None if it measured no goal."""
    kept = {
        name: {"machine": part["machine"], "goals": {goal["goal"]: goal["measured"] for goal in part["goals"]}}
        for name, part in parts.items()
        if part.get("goals")
    }
    return {"version": version(), "parts": kept} if kept else None


def append(parts: Mapping[str, Any], file: pathlib.Path | None = None) -> None:
    """Adds a run to the end of the file. What was there stays as it is."""
    added = line(parts)
    if added is not None:
        with (file or FILE).open("a") as history:
            history.write(json.dumps(added) + "\n")


def read(file: pathlib.Path | None = None) -> list[dict[str, Any]]:
    """All runs, the oldest first."""
    file = file or FILE
    return [json.loads(each) for each in file.read_text().splitlines()] if file.exists() else []


def by_goal(runs: list[dict[str, Any]]) -> dict[str, list[tuple[str, str, float | None]]]:
    """For each goal, (date, version, measured) of each run that measured it."""
    found: dict[str, list[tuple[str, str, float | None]]] = {}
    for run in runs:
        for name, part in run["parts"].items():
            for goal, measured in part["goals"].items():
                entry = (part["machine"]["date"], run["version"], measured)
                found.setdefault(f"{name}: {goal}", []).append(entry)
    return found


def main() -> None:
    for goal, entries in by_goal(read()).items():
        print(goal)
        for date, of, measured in entries:
            print(f"  {date}  {of}  {'not measured' if measured is None else format(measured, '.3g')}")


if __name__ == "__main__":
    main()
