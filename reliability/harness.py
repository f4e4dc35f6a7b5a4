"""What all parts share: rows that say what was tried, how often, and how often it held; the command; the page.

A part is a module `reliability/<name>.py` that says what it is by

    TITLE = "A trainer that is killed"
    def measure(short: bool) -> Iterator[Row]: ...   # short: a minute at most

and ends with `main(__name__, __doc__)`. Then

    python reliability/<name>.py            # the rows on the terminal; status 1 if one does not hold
    python reliability/<name>.py --short    # the same questions, asked fewer times
    python reliability/<name>.py --write    # also into reliability/<name>.json, and docs/reliability.md anew
    python reliability/run.py               # all parts, each in a process of its own
"""

import argparse
import dataclasses
import json
import os
import pathlib
import platform
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

HERE = pathlib.Path(__file__).parent
PAGE = HERE.parent / "docs" / "reliability.md"
NOT_PARTS = {"harness", "run"}


@dataclasses.dataclass(frozen=True)
class Row:
    """One line of the table.

    tried: what, in words that a user understands. times: how often. held: how often what the line says was so.
    control: what TensorFlow's or Keras' own did in the same trial, without a mix; empty where there is none.
    numbers: what else was measured, in words: "0 MB a rebuilt pipeline after the first 50".
    """

    tried: str
    times: int
    held: int
    control: str = ""
    numbers: str = ""

    def __post_init__(self) -> None:
        # A trial that was never made has not held.
        if self.times < 1:
            raise ValueError(f"A row counts at least one trial. Received: times={self.times} of {self.tried!r}.")

    @property
    def holds(self) -> bool:
        """Whether what the line says was so each time."""
        return self.held == self.times


def machine() -> dict[str, Any]:
    """What this was tried on."""
    import keras
    import tensorflow as tf

    return {
        "cores": os.cpu_count(),
        "system": platform.system(),
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "date": time.strftime("%Y-%m-%d"),
    }


def described(of: Mapping[str, Any]) -> str:
    """The machine in a line."""
    versions = f"TensorFlow {of['tensorflow']}, Keras {of['keras']}, Python {of['python']}"
    return f"{versions}, {of['system']}, {of['cores']} cores; {of['date']}"


def table(rows: Iterable[Mapping[str, Any]]) -> str:
    """The rows of one part in Markdown."""
    lines = ["| tried | times | held | without a mix | measured besides |", "|---|--:|--:|---|---|"]
    for row in rows:
        held = f"{row['held']:,}" if row["held"] == row["times"] else f"**{row['held']:,}**"
        cells = (row["tried"], f"{row['times']:,}", held, row["control"], row["numbers"])
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)


def told(rows: Iterator[Row]) -> Iterator[Row]:
    """The rows, each told on the terminal as soon as it is there: some take minutes."""
    began = time.monotonic()
    for row in rows:
        word = "holds" if row.holds else "DOES NOT HOLD"
        seconds = time.monotonic() - began
        print(f"{seconds:6.0f} s  {word}: {row.tried}: {row.held:,} of {row.times:,}. {row.numbers}", flush=True)
        yield row


def written() -> dict[str, dict[str, Any]]:
    """What was tried before, by part: what lies beside the parts."""
    return {file.stem: json.loads(file.read_text()) for file in sorted(HERE.glob("*.json"))}


def page(parts: Mapping[str, Mapping[str, Any]]) -> str:
    """docs/reliability.md, of all parts."""
    tried = sum(row["times"] for part in parts.values() for row in part["rows"])
    head = f"""# Reliability

What was tried on this library beyond its tests, how often ({tried:,} trials in all), and how often it held. Beside
it is what TensorFlow's or Keras' own did in the same trial without a mix: what they lose, a mix may lose as well. A
number in bold is less than it should be. `python reliability/run.py --write` makes all of it; `make test-faults` asks
the same questions, fewer times, of every change."""
    bodies = [
        f"## {part['title']}\n\n`reliability/{name}.py`, {part['seconds']:,.0f} s on "
        f"{described(part['machine'])}.\n\n{table(part['rows'])}"
        for name, part in parts.items()
    ]
    missing = sorted({file.stem for file in HERE.glob("*.py")} - set(parts) - NOT_PARTS)
    rest = [f"Not tried in full yet, only in short: {', '.join(missing)}."] if missing else []
    return "\n\n".join([head, *rest, *bodies]) + "\n"


def main(module: str, doc: str | None, arguments: Sequence[str] | None = None) -> None:
    """The command of one part, the module that calls it."""
    if module != "__main__":
        return
    me = sys.modules[module]
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="the same questions, asked fewer times")
    parser.add_argument("--write", action="store_true", help="also write the .json beside this file, and the page")
    options = parser.parse_args(arguments)
    if options.short and options.write:
        parser.error("the page holds full trials only. Leave out --short, or --write.")
    began = time.monotonic()
    rows = [dataclasses.asdict(row) for row in told(me.measure(options.short))]
    if options.write:
        found = {"title": me.TITLE, "machine": machine(), "seconds": round(time.monotonic() - began), "rows": rows}
        (HERE / f"{pathlib.Path(str(me.__file__)).stem}.json").write_text(json.dumps(found, indent=1) + "\n")
        PAGE.write_text(page(written()))
    sys.exit(0 if all(row["held"] == row["times"] for row in rows) else 1)
