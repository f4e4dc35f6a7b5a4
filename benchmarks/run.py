"""The benchmark suite: all parts one after another, each in a process of its own, and which goals are met.

    python benchmarks/run.py                           # the tables and the goals on the terminal
    python benchmarks/run.py --write                   # also <part>.md and .json, goals.md, history.jsonl
    python benchmarks/run.py --only mix_cost growth    # these parts alone
    python benchmarks/run.py --json                    # for machines: {part: what it measured}
    python benchmarks/run.py --quick                   # that all parts run: tiny sizes, numbers of no worth

goals.md holds the goals of all parts that were ever written, so parts can be measured one by one.
"""

import argparse
import json
import pathlib
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import history

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
    "accelerator",
)


def measured(name: str, quick: bool, write: bool) -> dict[str, Any] | None:
    """What one part has measured; None if it failed, which its own words on the terminal say."""
    flags = [*(["--quick"] if quick else []), *(["--write"] if write else [])]
    print(f"benchmarks/{name}.py", file=sys.stderr, flush=True)
    part = subprocess.run(
        [sys.executable, str(HERE / f"{name}.py"), "--json", *flags], stdout=subprocess.PIPE, text=True, check=False
    )
    if part.returncode:
        return None
    return json.loads(part.stdout[part.stdout.index("{") :])


def written() -> dict[str, Any]:
    """What has been measured before and lies beside the parts."""
    files = {name: HERE / f"{name}.json" for name in PARTS}
    return {name: json.loads(file.read_text()) for name, file in files.items() if file.exists()}


def verdict(goal: Mapping[str, Any]) -> str:
    """In a word, or two."""
    if goal["measured"] is None:
        return "not measured"
    return "met" if goal["measured"] <= goal["at_most"] else "missed"


def goals_table(parts: Mapping[str, Any]) -> str:
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


def goals_page(parts: Mapping[str, Any]) -> str:
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
            "[stage_profile.md](stage_profile.md).",
            "",
            goals_table(parts),
            "",
        ]
    )


def _where(machine: Mapping[str, Any]) -> str:
    return f"{machine['processor']}, {machine['cores']} cores, TensorFlow {machine['tensorflow']}, {machine['date']}"


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    there = [name for name in PARTS if (HERE / f"{name}.py").exists()]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=there, default=there, metavar="NAME", help=", ".join(there))
    parser.add_argument("--quick", action="store_true", help="that it runs: tiny sizes, numbers of no worth")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument("--write", action="store_true", help="also write what lies beside this file")
    found = parser.parse_args(arguments)
    if found.quick and found.write:
        parser.error("--quick measures nothing worth writing. Leave out --quick, or --write.")
    return found


def main() -> None:
    arguments = parse()
    parts: dict[str, Any] = {}
    failed = []
    for name in arguments.only:
        part = measured(name, arguments.quick, arguments.write)
        if part is None:
            failed.append(name)
        else:
            parts[name] = part
    if arguments.json:
        print(json.dumps(parts))
    else:
        print(goals_table(parts))
    if arguments.write:
        history.append(parts)
        (HERE / "goals.md").write_text(goals_page(written()))
    if failed:
        sys.exit(f"These parts failed: {', '.join(failed)}.")


if __name__ == "__main__":
    main()
