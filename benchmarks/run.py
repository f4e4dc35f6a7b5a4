"""The benchmark suite: all parts one after another, each in a process of its own, and which goals are met.

    python benchmarks/run.py                           # the tables and the goals on the terminal
    python benchmarks/run.py --write                   # also <part>.md and .json, goals.md, history, README
    python benchmarks/run.py --only mix_cost growth    # these parts alone
    python benchmarks/run.py --json                    # for machines: {part: what it measured}
    python benchmarks/run.py --quick                   # that all parts run: tiny sizes, numbers of no worth

goals.md holds the goals of all parts that were ever written, so parts can be measured one by one.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import cost_tables
import goals
import history


def measured(name: str, quick: bool, write: bool) -> dict[str, Any] | None:
    """What one part has measured; None if it failed, which its own words on the terminal say."""
    flags = [*(["--quick"] if quick else []), *(["--write"] if write else [])]
    print(f"benchmarks/{name}.py", file=sys.stderr, flush=True)
    part = subprocess.run(
        [sys.executable, str(goals.HERE / f"{name}.py"), "--json", *flags],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if part.returncode:
        return None
    return json.loads(part.stdout[part.stdout.index("{") :])


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    there = [name for name in goals.PARTS if (goals.HERE / f"{name}.py").exists()]
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
        print(goals.table(parts))
    if arguments.write:
        history.append(parts)
        kept = goals.written()
        (goals.HERE / "goals.md").write_text(goals.page(kept))
        cost_tables.write(kept)
    if failed:
        sys.exit(f"These parts failed: {', '.join(failed)}.")


if __name__ == "__main__":
    main()
