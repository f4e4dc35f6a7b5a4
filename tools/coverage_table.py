"""What `make coverage` has counted: lines and branches of the core, by package. Fails if they are too few.

python tools/coverage_table.py          # the table
python tools/coverage_table.py --lines  # also the lines and branches that no test has run
"""

import argparse
import collections
import json
import pathlib
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from typing import Any

ROOT = pathlib.Path(__file__).parents[1]
COUNTS = ("num_statements", "covered_lines", "num_branches", "covered_branches")


def counted() -> dict[str, Any]:
    """What coverage has counted, by file, once the parts of all processes are put together."""
    command = [sys.executable, "-m", "coverage"]
    if any(ROOT.glob(".coverage.*")):
        subprocess.run([*command, "combine", "--append", "--quiet"], cwd=ROOT, check=True)
    as_json = [*command, "json", "--quiet", "--fail-under=0", "-o", "-"]
    return json.loads(subprocess.run(as_json, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)["files"]


def by_package(files: Mapping[str, Any]) -> dict[str, collections.Counter]:
    """The counts of each folder of the package, and of all together."""
    found: dict[str, collections.Counter] = collections.defaultdict(collections.Counter)
    for name, file in files.items():
        inside = pathlib.PurePath(name).parts[1:-1]
        counts = {each: file["summary"][each] for each in COUNTS}
        for package in (inside[0] if inside else "kmix_tf/*.py", "all"):
            found[package].update(counts)
    return {name: found[name] for name in sorted(found, key=lambda name: (name == "all", name))}


def shares(counts: Mapping[str, int]) -> tuple[float, float]:
    """The shares of lines and of branches that were run, in per cent. Of none, all were."""
    return tuple(
        100 * counts[run] / counts[there] if counts[there] else 100.0
        for there, run in (("num_statements", "covered_lines"), ("num_branches", "covered_branches"))
    )


def table(packages: Mapping[str, Mapping[str, int]]) -> str:
    """As Markdown."""
    rows = ["| package | lines | run | branches | run |", "|---|--:|--:|--:|--:|"]
    for name, counts in packages.items():
        lines, branches = shares(counts)
        rows.append(
            f"| {name} | {counts['num_statements']} | {lines:.1f} % | {counts['num_branches']} | {branches:.1f} % |"
        )
    return "\n".join(rows)


def missing(files: Mapping[str, Any]) -> str:
    """The lines, and the branches between lines, that were not run."""
    return "\n".join(
        f"{name}: lines {file['missing_lines']}, branches {file['missing_branches']}"
        for name, file in files.items()
        if file["missing_lines"] or file["missing_branches"]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", action="store_true", help="also what no test has run")
    arguments = parser.parse_args()
    files = counted()
    packages = by_package(files)
    print(table(packages))
    if arguments.lines:
        print(missing(files))
    least = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["coverage"]["report"]["fail_under"]
    if min(shares(packages["all"])) < least:
        sys.exit(f"Less than {least} % of the core's lines or branches are run by tests.")


if __name__ == "__main__":
    main()
