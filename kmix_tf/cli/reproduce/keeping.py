"""What has been measured stays: a file an experiment, written anew whenever a seed is done."""

import contextlib
import datetime
import json
import os
import pathlib
import platform
import tempfile
from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np
import scipy
import tensorflow as tf

from kmix_tf._version import __version__
from kmix_tf._writing import write_files
from kmix_tf.cli.reproduce.fingerprint import fingerprint
from kmix_tf.cli.terminal import UserError
from kmix_tf.paired import Cells, Experiment, Judged, Runs

try:
    import fcntl
except ImportError:  # Windows: there, two commands at the same time can lose a seed.
    fcntl = None  # type: ignore[assignment]

FORMAT = 1
_DIGITS = 5
# What may be otherwise in a file that is only read.
_LENIENT = ("version", "code")


def environment() -> dict[str, Any]:
    """Versions, and the machine."""
    return {
        "kmix_tf": __version__,
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
    }


class Kept:
    """The seeds of one experiment that are done, in a file.

    Args:
        to_read: whether no seeds will be added: those of another version of the package, or of other code, may then
            be read.
        anew: whether the file that is there is not read, and written over when the first seed is done.

    Raises:
        UserError: if the file is of another version, other settings, other code or another experiment, or is no such
            file.
    """

    def __init__(
        self,
        experiment: Experiment,
        settings: Mapping[str, Any],
        folder: pathlib.Path,
        to_read: bool = False,
        anew: bool = False,
    ):
        self.path = folder / f"{experiment.name}.json"
        self._experiment = experiment
        self._head = {
            "format": FORMAT,
            "experiment": experiment.name,
            "settings": json.loads(json.dumps(settings)),
            "version": __version__,
            "code": fingerprint(experiment),
        }
        self._to_read, self._anew = to_read, anew
        self._seeds: dict[int, dict[str, Any]] = {}
        if self.path.exists() and not anew:
            found = self._read()
            self._head.update({key: found[key] for key in _LENIENT})
            self._seeds = _numbered(found["seeds"])

    def _read(self) -> dict[str, Any]:
        try:
            found = json.loads(self.path.read_text(encoding="utf-8"))
            head = {key: found[key] for key in self._head}
            _numbered(found["seeds"])
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            raise UserError(
                f"{self.path} is not a result of kmix-tf reproduce. Move it away, or use --anew."
            ) from error
        for key, value in self._head.items():
            if head[key] != value and not (key in _LENIENT and self._to_read):
                raise UserError(
                    f"{self.path} has results of {_apart(key, head[key], value)}, which are not mixed with new ones. "
                    "Give another folder with --results, or use --anew to measure all anew."
                )
        return found

    @property
    def seeds(self) -> list[int]:
        """Those that are done."""
        return sorted(self._seeds)

    def add(self, seed: int, cells: Cells, seconds: float) -> None:
        """Keeps a seed that is done, and writes all that are.

        Raises:
            OSError: if the file cannot be written. The seed is then written with the next one.
        """
        finished = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        self._seeds[seed] = {
            "cells": rounded(cells), "seconds": round(seconds, 1), "finished": finished, "with": environment(),
        }  # fmt: skip
        self.write()

    def runs(self) -> Runs:
        """Of all seeds that are done."""
        return Runs(self._head["settings"], {seed: run["cells"] for seed, run in self._seeds.items()})

    @property
    def version(self) -> str:
        """Of the package that measured them."""
        return str(self._head["version"])

    @property
    def is_of_this_code(self) -> bool:
        """Whether what the code measures now is what was measured."""
        return bool(self._head["code"] == fingerprint(self._experiment))

    def seconds(self) -> float:
        """That all seeds took together."""
        return float(sum(run["seconds"] for run in self._seeds.values()))

    def write(self) -> None:
        """All that is known, claims judged, in one step; what another process has added since is kept."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with _alone_in(self.path.parent):
            if self.path.exists() and not self._anew:
                self._seeds = {**_numbered(self._read()["seeds"]), **self._seeds}
            self._anew = False
            write_files({self.path: self._text()})

    def rescue(self) -> pathlib.Path:
        """Writes what is known into a new folder for temporary files, where its own folder takes nothing."""
        path = pathlib.Path(tempfile.mkdtemp(prefix="kmix-tf-")) / self.path.name
        write_files({path: self._text()})
        return path

    def _text(self) -> str:
        seeds = {str(seed): self._seeds[seed] for seed in self.seeds}
        claims = [told(judged) for judged in self._experiment.judged(self.runs())]
        return _compact({**self._head, "items": self._experiment.items, "claims": claims, "seeds": seeds}) + "\n"


@contextlib.contextmanager
def _alone_in(folder: pathlib.Path) -> Iterator[None]:
    """Other commands that write there wait: each reads what is there and adds to it."""
    if fcntl is None:
        yield
        return
    number = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # Some network file systems have no locks.
            fcntl.flock(number, fcntl.LOCK_EX)
        yield
    finally:
        os.close(number)


def _numbered(seeds: Mapping[str, Any]) -> dict[int, dict[str, Any]]:
    return {int(seed): {**run, "cells": dict(run["cells"])} for seed, run in seeds.items()}


def _apart(key: str, found: Any, wanted: Any) -> str:
    if key == "code":
        return "other code of the experiment"
    if key != "settings":
        return f"{key} {found!r}, not {wanted!r}"
    names = [name for name in {**found, **wanted} if found.get(name) != wanted.get(name)]
    return "other settings (" + ", ".join(f"{n}: {found.get(n)!r}, not {wanted.get(n)!r}" for n in names) + ")"


def told(judged: Judged) -> dict[str, Any]:
    """A claim and its verdict, as JSON has it: numbers that are not there are null."""
    numbers = {key: value if np.isfinite(value) else None for key, value in judged.found._asdict().items()}
    claim = judged.claim
    return {
        "says": claim.says, "paper": claim.paper, "above": claim.above, "unit": claim.unit, "ours": claim.ours,
        "verdict": judged.verdict, **rounded(numbers),
    }  # fmt: skip


def rounded(value: Any) -> Any:
    """Numbers to five digits, arrays as lists: what JSON holds.

    Raises:
        ValueError: for NaN or infinity.
    """
    if isinstance(value, Mapping):
        return {str(key): rounded(each) for key, each in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [rounded(each) for each in value]
    if isinstance(value, (bool, np.bool_)) or value is None or isinstance(value, str):
        return bool(value) if isinstance(value, np.bool_) else value
    number = float(value)
    if not np.isfinite(number):
        raise ValueError(f"measured numbers must be finite. Received: {number}.")
    return int(number) if number.is_integer() and abs(number) < 1e15 else float(f"{number:.{_DIGITS}g}")


def _compact(content: Any, indent: int = 0) -> str:
    """JSON in which what holds no dictionaries stands on one line: people can read it, and files stay small."""
    if isinstance(content, dict) and content:
        inner = ",\n".join(
            f"{' ' * (indent + 1)}{json.dumps(key)}: {_compact(value, indent + 1)}" for key, value in content.items()
        )
        return f"{{\n{inner}\n{' ' * indent}}}"
    if isinstance(content, list) and any(isinstance(each, dict) for each in content):
        inner = ",\n".join(f"{' ' * (indent + 1)}{_compact(each, indent + 1)}" for each in content)
        return f"[\n{inner}\n{' ' * indent}]"
    return json.dumps(content)
