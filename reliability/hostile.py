"""Files that were made to show or run something: pickles, links, names and a saved dataset.

Nothing of them may run, no other file of the disk may be shown, and no name may command a terminal, a browser or a
spreadsheet.
"""

import csv
import io
import json
import os
import pathlib
import pickle
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence

from asking.commands import Answer, Asker, Case
from asking.files import columns, in_folders, png, written
from harness import Row, main

TITLE = "Files that show or run something"
SECONDS, MEGABYTES = 5.0, 1024.0
SECRET = "a secret of this disk"
# Of a folder: what ran made it.
RAN = "it-ran"
# Control characters, but for ends of lines.
_CONTROLS = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f]")
NAMES = (
    "a\x1b[2J\x1b]0;title\x07",
    "\u202egnp.exe",
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    '=HYPERLINK("http://x")',
    "@SUM(A1)",
    "+1+1|cmd",
    "$\\frac{$",
    "{{ 7*7 }} {% raw %}",
    "[red]b[/red]\nVerdict: safe",
)


def measure(short: bool) -> Iterator[Row]:
    """The rows."""
    asker = Asker(is_fork=short)
    yield asker.row("Pickles are refused and do not run", pickles(), SECONDS, MEGABYTES)
    yield asker.row("Links and names that lead out of a folder are refused", links(), SECONDS, MEGABYTES)
    cases = [
        Case(repr(name), named(name), "Verdict", status=0, well=unharmed) for name in NAMES[:: 3 if short else 1]
    ]
    told = "Names of classes and columns that command terminals, pages, figures or spreadsheets are spelt out"
    yield asker.row(told, cases, 30.0, MEGABYTES)
    yield asker.row(
        "A saved dataset that was mapped by a Python function is read, without it", [mapped()], 30.0, MEGABYTES
    )


class Runs:
    """What makes a file when it is read as a pickle."""

    def __init__(self, path: pathlib.Path):
        self.path = path

    def __reduce__(self) -> tuple[Callable, tuple[str]]:
        return os.mkdir, (str(self.path),)


def pickles() -> list[Case]:
    """Which would run; that they do is seen in a process beside."""

    def made(folder: pathlib.Path) -> "object":
        import numpy as np

        array = np.array([Runs(folder / RAN)] * 4, object)
        # One that runs, if it is let.
        np.save(folder / "proof.npy", array)
        code = f"import numpy; numpy.load({str(folder / 'proof.npy')!r}, allow_pickle=True)"
        subprocess.run([sys.executable, "-c", code], check=False, capture_output=True)
        (folder / RAN).rmdir()
        return array

    def npy(folder: pathlib.Path) -> list[object]:
        import numpy as np

        np.save(folder / "x.npy", np.zeros((4, 2)))
        np.save(folder / "y.npy", made(folder))
        return [folder / "x.npy", folder / "y.npy"]

    def npz(folder: pathlib.Path) -> list[object]:
        import numpy as np

        np.savez(folder / "d.npz", x=made(folder), y=np.arange(4) % 2)
        return [folder / "d.npz"]

    def named(name: str) -> Callable[[pathlib.Path], list[object]]:
        return lambda folder: written(name, pickle.dumps(made(folder)))(folder)

    def well(answer: Answer, folder: pathlib.Path) -> bool:
        return not (folder / RAN).exists()

    objects, code = "holds Python objects, which are not opened", "runs whatever code it holds"
    return [
        Case("in an .npy", npy, objects, well=well),
        Case("in an .npz", npz, objects, well=well),
        *(Case(name, named(name), code, well=well) for name in ("d.pkl", "d.joblib")),
        Case("as an .npz", named("d.npz"), "is no .npz file", well=well),
        Case("as a CSV", named("d.csv"), "is no CSV file", well=well),
    ]


def links() -> list[Case]:
    """Of images, and of a saved table."""

    def linked(place: str, to: str) -> Callable[[pathlib.Path], Sequence[object]]:
        def make(folder: pathlib.Path) -> list[object]:
            in_folders(folder, {"a/0.png": png(8, 9), "b/0.png": png(8, 9)})
            written("other/0.png", SECRET.encode())(folder)
            (folder / "d" / place).symlink_to(folder / to)
            return [folder / "d"]

        return make

    def saved(name: str, link: bool = False) -> Callable[[pathlib.Path], Sequence[object]]:
        def make(folder: pathlib.Path) -> list[object]:
            written("secret.arrow", SECRET.encode())(folder)
            written("d/state.json", json.dumps({"_data_files": [{"filename": name}]}).encode())(folder)
            if link:
                (folder / "d" / name).symlink_to(folder / "secret.arrow")
            return [folder / "d"]

        return make

    def well(answer: Answer, folder: pathlib.Path) -> bool:
        return SECRET not in answer.told

    out, name = "is a link that leads out of", "must be named without its folder"
    cases = [
        Case("a file", linked("a/1.png", "other/0.png"), out, well=well),
        Case("a folder", linked("c", "other"), out, well=well),
    ]
    if not columns():
        return cases
    names = ("../secret.arrow", "/etc/passwd", "..", "a/b.arrow")
    return [
        *cases,
        *(Case(f"saved table of {path}", saved(path), name, well=well) for path in names),
        Case("link of a saved table", saved("data.arrow", link=True), out, well=well),
    ]


def named(name: str) -> Callable[[pathlib.Path], list[object]]:
    """A table of two classes, with equal rows of both, so that all files name them."""

    def make(folder: pathlib.Path) -> list[object]:
        with (folder / "t.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow([name, "b", "y"])
            writer.writerows([i * i % 13, i * 7 % 11, "other" if i % 2 else name] for i in range(30))
            writer.writerows([1, 1, label] for label in ("other", name))
        return [folder / "t.csv"]

    return make


def unharmed(answer: Answer, folder: pathlib.Path) -> bool:
    """Whether nothing in what was told and written commands anybody."""
    texts = {file.name: file.read_text(encoding="utf-8") for file in (folder / "out").iterdir()}
    page, rows = texts["report.html"], csv.reader(io.StringIO(texts["report-contradictions.csv"], newline=""))
    cells = [cell for row in rows for cell in row]
    return (
        not any(_CONTROLS.search(text) for name, text in [("", answer.told), *texts.items()] if name[-4:] != ".csv")
        and not re.search(r"<script>alert|<img src=x", page)
        and len(cells) > 5
        and not any(cell.startswith(("=", "+", "-", "@")) for cell in cells)
        and answer.told.count("Verdict") == 1 + answer.told.count(r"\nVerdict")
    )


def mapped() -> Case:
    """Saved by another process, whose function leaves a folder where it runs."""
    code = """
import os, sys, numpy as np, tensorflow as tf
ran, place = sys.argv[1:]
def look(x):
    os.makedirs(ran, exist_ok=True)
    return x
x, y = np.random.default_rng(0).normal(size=(40, 3)), np.arange(40) % 2
data = tf.data.Dataset.from_tensor_slices((x, y)).batch(8)
data.map(lambda x, y: (tf.ensure_shape(tf.py_function(look, [x], tf.float64), [None, 3]), y)).save(place)
"""

    def make(folder: pathlib.Path) -> list[object]:
        ran = folder / RAN
        subprocess.run([sys.executable, "-c", code, ran, folder / "d"], check=True, capture_output=True)
        ran.rmdir()
        return [folder / "d"]

    return Case("py_function", make, "Verdict", status=0, well=lambda answer, folder: not (folder / RAN).exists())


main(__name__, __doc__)
