"""Commands that are interrupted at random moments, that may not write, whose disk is full, or whose reader has gone.

Real processes, each in a session and a folder of its own. The interrupt key is tried as a terminal sends it, to all
processes at once; what a scheduler sends goes to one. A trial holds if the command ends with its status and one line,
with no process left and nothing half-written. Lines that TensorFlow's C++ logs are not counted.
"""

import concurrent.futures
import contextlib
import functools
import json
import os
import pathlib
import random
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from harness import Row, main

TITLE = "Commands that are interrupted, and places that cannot be written"

DATA = "data.npz"
COMMANDS = {
    "gallery": ["gallery", "--out", "out/gallery.html"],
    "audit": ["audit", DATA, "--out", "out", "--minutes", "0.05"],
    "compare": ["compare", DATA, "--out", "out", "--minutes", "0.1"],
    "demo": ["demo", "--seeds", "1", "--epochs", "3", "--out", "out", "--export", "model"],
    "reproduce": ["reproduce", "regularization/proposition-1", "--quick", "--jobs", "2", "--results", "out"],
}
# A training of Keras' own, and the frames that an interrupt makes of it.
PLAIN = """
import numpy as np, keras
model = keras.Sequential([keras.layers.Dense(8)])
model.compile("sgd", "mse")
model.fit(np.zeros([4096, 8]), np.zeros([4096, 8]), epochs=1000, verbose=0)
"""
# What TensorFlow's libraries write there by themselves, whatever they are told.
_LOGGED = re.compile(r"WARNING: All log messages|[IWEF]\d{4} |\s*$")
# Generous: other work may be on the machine.
_PATIENCE = 180
# Seconds that Python takes to end, on such a machine.
_PYTHON_ENDS = 5.0
_HERE = pathlib.Path(__file__).resolve().parents[1]


class Ended(NamedTuple):
    """A process that has ended. lines: of stderr, but for TensorFlow's own. left: processes; files that are no whole
    ones. seconds: from the signal to the end. was_early: whether it had ended before the signal."""

    status: int
    lines: list[str]
    left: list[str]
    seconds: float
    was_early: bool


def _begun(
    arguments: Sequence[str], folder: pathlib.Path, limit: int | None = None, stdout: int = subprocess.DEVNULL
) -> subprocess.Popen:
    environment = {**os.environ, "PYTHONPATH": str(_HERE), "TMPDIR": str(folder / "tmp"), "TF_CPP_MIN_LOG_LEVEL": "3"}

    def heed() -> None:
        # What is begun in the background ignores the interrupt key.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    with open(folder / "stderr", "w") as stderr:
        return subprocess.Popen(
            [sys.executable, *arguments], cwd=folder / "work", env=environment, stderr=stderr, preexec_fn=heed,
            stdout=stdout, start_new_session=True,
        )  # fmt: skip


@contextlib.contextmanager
def _place() -> Iterator[pathlib.Path]:
    """A folder with data to work on in `work`, and a place for temporary files and errors beside it."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for each in ("work", "tmp"):
            (folder / each).mkdir()
        generator = np.random.default_rng(0)
        x = generator.normal(size=(240, 4)).astype("float32")
        np.savez(folder / "work" / DATA, x=x, y=(x[:, 0] > 0).astype("int32"))
        yield folder


def _listens(process: subprocess.Popen) -> bool:
    """Waits until it heeds SIGTERM, which Python alone does not: from then on, what is said is the command's."""
    until = time.monotonic() + _PATIENCE
    while process.poll() is None and time.monotonic() < until:
        with contextlib.suppress(OSError):
            caught = re.search(r"SigCgt:\s*(\w+)", pathlib.Path(f"/proc/{process.pid}/status").read_text())
            if caught and int(caught[1], 16) >> (signal.SIGTERM - 1) & 1:
                return True
        time.sleep(0.01)
    return False


def _processes(session: int) -> list[str]:
    """Those of a session that are there, but for those that have ended and whom nobody has asked how."""
    found = []
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            name, _, rest = stat.read_text().rpartition(")")
            state, _, _, of = rest.split()[:4]
            if int(of) == session and state != "Z":
                found.append(name)
    return found


def _left_over(session: int, folder: pathlib.Path) -> list[str]:
    until = time.monotonic() + 10
    while (processes := _processes(session)) and time.monotonic() < until:
        time.sleep(0.1)
    temporary = [str(path) for path in (folder / "tmp").iterdir()]
    return [*processes, *temporary, *(str(path) for path in _half(folder / "work"))]


def _half(folder: pathlib.Path) -> Iterator[pathlib.Path]:
    """What is no whole file of its kind, or what was to be taken away."""
    for path in sorted(folder.rglob("*")):
        is_empty = path.is_dir() and not any(path.iterdir()) and path.name != "assets"
        if path.name.startswith(".") or is_empty or (path.is_file() and not _is_whole(path)):
            yield path


def _is_whole(path: pathlib.Path) -> bool:
    content = path.read_bytes()
    if path.suffix == ".json":
        with contextlib.suppress(ValueError):
            return bool(json.loads(content))
        return False
    ends = {".html": b"</html>", ".png": b"IEND\xaeB`\x82"}
    return bool(content) and content.rstrip().endswith(ends.get(path.suffix, b""))


def _lines(folder: pathlib.Path) -> list[str]:
    return [line for line in (folder / "stderr").read_text().splitlines() if not _LOGGED.match(line)]


def interrupted(arguments: Sequence[str], after: float, number: int, is_ours: bool = True) -> Ended:
    """Begins a command and sends it a signal so many seconds after it listens."""
    with _place() as folder:
        process = _begun(["-m", "kmix_tf", *arguments] if is_ours else arguments, folder)
        try:
            if is_ours:
                _listens(process)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(after)
            was_early, sent = process.poll() is not None, time.monotonic()
            if not was_early:
                (os.killpg if number == signal.SIGINT else os.kill)(process.pid, number)
            status = process.wait(_PATIENCE)
            seconds = time.monotonic() - sent
            return Ended(status, _lines(folder), _left_over(process.pid, folder), seconds, was_early)
        finally:
            _end(process)


def _end(process: subprocess.Popen) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _seconds_of(name: str) -> float:
    """How long a command takes that nobody interrupts."""
    with _place() as folder:
        process, began = _begun(["-m", "kmix_tf", *COMMANDS[name]], folder), time.monotonic()
        try:
            status = process.wait(10 * _PATIENCE)
            if status != 0:
                raise RuntimeError(f"{name} ends with status {status} by itself: {_lines(folder)}")
            return time.monotonic() - began
        finally:
            _end(process)


def _until_met(arguments: Sequence[str], moment: float, number: int) -> Ended:
    """One trial; sooner, if the command was done by then, and there was nothing to end but Python itself."""
    ended = interrupted(arguments, moment, number)
    was_done = ended.status == 0 and (ended.was_early or ended.seconds < _PYTHON_ENDS)
    return _until_met(arguments, moment / 2, number) if was_done else ended


def _told(ended: Sequence[Ended], held: Sequence[bool]) -> str:
    slowest = max(each.seconds for each in ended)
    judged = zip(ended, held, strict=True)
    wrong = [f"{each.status}, {each.lines[:1]}, left {each.left}" for each, is_held in judged if not is_held]
    return f"gone {slowest:.1f} s after the signal at most" + (f"; not: {wrong[0]}" if wrong else "")


def _signals(name: str, number: int, moments: Sequence[float], two_at_once: Callable) -> Row:
    ended = list(two_at_once(functools.partial(_until_met, COMMANDS[name], number=number), moments))
    held = [each.status == 128 + number and each.lines == ["kmix-tf: stopped."] and not each.left for each in ended]
    word = "the interrupt key" if number == signal.SIGINT else signal.Signals(number).name
    tried = f"`kmix-tf {name}`: {word} at a random moment: one line, status {128 + number}, nothing left"
    return Row(tried, len(ended), sum(held), _control_of(number), _told(ended, held))


@functools.cache
def _control_of(number: int) -> str:
    """What a plain training does, asked once."""
    lines = [len(interrupted(["-c", PLAIN], after, number, is_ours=False).lines) for after in (2.0, 12.0)]
    return f"a training by Keras alone, twice: {lines[0]} and {lines[1]} lines"


def _wrong_places(is_short: bool) -> list[tuple[str, list[str]]]:
    """By option, commands whose place cannot be: within a file, a folder where a file must be, /proc."""
    places = [
        ("--out", ["audit", DATA, "--out", "file/below"]),
        ("--export", ["demo", "--export", "file/below", "--out", "out"]),
        ("--out", ["gallery", "--out", "/proc/gallery.html"]),
        ("--out", ["audit", DATA, "--out", "taken"]),
        ("--out", ["compare", DATA, "--out", "file"]),
        ("--out", ["compare", DATA, "--out", "/proc/out"]),
        ("--out", ["demo", "--out", "file/below"]),
        ("--out", ["gallery", "--out", "file/gallery.html"]),
        ("--export", ["demo", "--export", "/proc/model", "--out", "out"]),
        ("--results", ["reproduce", "all", "--quick", "--results", "file"]),
        ("--results", ["reproduce", "all", "--results", "/proc/results"]),
    ]
    return places[:3] if is_short else places


def _refused(trial: tuple[str, list[str]]) -> tuple[bool, float]:
    """Whether a command names the option in one line, and leaves all as it was; and how long it took."""
    option, arguments = trial
    with _place() as folder:
        (folder / "work" / "file").write_text("somebody's")
        (folder / "work" / "taken" / "report.json").mkdir(parents=True)
        before = sorted((folder / "work").rglob("*"))
        process, began = _begun(["-m", "kmix_tf", *arguments], folder), time.monotonic()
        try:
            status, lines = process.wait(_PATIENCE), _lines(folder)
        finally:
            _end(process)
        is_told = status == 2 and len(lines) == 1 and lines[0].startswith(f"kmix-tf: {option}")
        return is_told and sorted((folder / "work").rglob("*")) == before, time.monotonic() - began


def _full(trial: tuple[list[str], int]) -> bool:
    """Whether a command on a disk that takes no more than so much of a file names it, and leaves no half of one."""
    arguments, limit = trial
    with _place() as folder:
        process = _begun(["-m", "kmix_tf", *arguments], folder, limit)
        try:
            status, lines = process.wait(_PATIENCE), _lines(folder)
        finally:
            _end(process)
        is_told = status == 2 and len(lines) == 1 and "out/" in lines[0] and "File too large" in lines[0]
        return is_told and not (folder / "work" / "out").exists() and not list(_half(folder / "work"))


def _unread(arguments: list[str]) -> bool:
    """Whether a command whose reader has gone says nothing."""
    with _place() as folder:
        read, write = os.pipe()
        os.close(read)
        process = _begun(["-m", "kmix_tf", *arguments], folder, stdout=write)
        os.close(write)
        try:
            return process.wait(_PATIENCE) in (0, 1) and not _lines(folder)
        finally:
            _end(process)


def measure(short: bool) -> Iterator[Row]:
    dice = random.Random(0)
    times = 2 if short else 30
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for name in ["gallery", "reproduce"] if short else COMMANDS:
            longest = 8.0 if short else _seconds_of(name)
            moments = [dice.uniform(0, longest) for _ in range(times)]
            yield _signals(name, signal.SIGINT, moments, pool.map)
        for name in ["audit"] if short else ["audit", "demo", "reproduce"]:
            moments = [dice.uniform(0, 8.0) for _ in range(1 if short else 10)]
            yield _signals(name, signal.SIGTERM, moments, pool.map)
        places = _wrong_places(short)
        answers = list(pool.map(_refused, places))
        slowest = max(seconds for _, seconds in answers)
        tried = "a place that cannot be written is refused before the work, and the option is named"
        yield Row(tried, len(places), sum(ok for ok, _ in answers), "", f"{slowest:.0f} s at most, with all imports")
        full = [(["audit", DATA, "--no-trial", "--out", "out"], 16384)]
        if not short:
            full += [(COMMANDS["gallery"], 16384), (COMMANDS["compare"], 8192), (COMMANDS["audit"], 8192)]
        tried = "a disk that is full in mid-write: one line that names the file, and no half of one"
        yield Row(tried, len(full), sum(pool.map(_full, full)))
        unread = [["reproduce", "--list"]]
        if not short:
            unread += [["--help"], ["audit", DATA, "--no-trial", "--json", "--out", "out"], COMMANDS["audit"]]
        yield Row("a reader that has gone (`| head -1`): not a word", len(unread), sum(pool.map(_unread, unread)))


main(__name__, __doc__)
