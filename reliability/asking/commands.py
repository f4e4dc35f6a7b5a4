"""Commands of `kmix-tf`, each in a process of its own, and what they took."""

import importlib
import os
import pathlib
import re
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from harness import Row

ROOT = pathlib.Path(__file__).parents[2]
# Seconds after which a command counts as hung.
HUNG = 300.0
# What TensorFlow says of itself when it is imported.
_OF_TENSORFLOW = re.compile(r"WARNING: All log messages before|[IWE]\d{4} |To enable the following|\s*$")


class Answer(NamedTuple):
    """status: as the shell has it. told: on both outputs. seconds: of the processor. waited: of the clock."""

    status: int
    told: str
    seconds: float
    waited: float
    megabytes: float

    @property
    def lines(self) -> list[str]:
        """What is told, without what TensorFlow says of itself."""
        return [line for line in self.told.splitlines() if not _OF_TENSORFLOW.match(line)]


class Case(NamedTuple):
    """A file, and what is to come of it. make: writes it into a folder and says what to give to the command.

    told: what the answer holds. status: 2 is a refusal, 0 an answer. well: of the answer and the folder, whether
    nothing else happened.
    """

    name: str
    make: Callable[[pathlib.Path], Sequence[object]]
    told: str
    status: int = 2
    well: Callable[[Answer, pathlib.Path], bool] = lambda answer, folder: True


class Asker:
    """Asks `kmix-tf audit --no-trial`: as a command, or in a fork of this process, which has imported it already.

    What a command takes that finds no file is told apart: most of it is TensorFlow's.
    """

    def __init__(self, is_fork: bool):
        self._is_fork = is_fork
        if is_fork:
            # Before the first fork, which would take it for its own.
            importlib.import_module("kmix_tf.cli")
        self.least = self.audit(["/nowhere/nothing.csv"])

    def audit(self, arguments: Sequence[object]) -> Answer:
        """What it says of these data, and what it took."""
        return self.ask(["audit", "--no-trial", *map(str, arguments)])

    def ask(self, arguments: list[str]) -> Answer:
        """Any command."""
        with tempfile.TemporaryFile("w+", errors="replace") as told:
            began = time.monotonic()
            number = _forked(arguments, told.fileno()) if self._is_fork else _started(arguments, told.fileno())
            status, used = _waited(number)
            waited = time.monotonic() - began
            told.seek(0)
            code = os.waitstatus_to_exitcode(status)
            return Answer(code, told.read(), used.ru_utime + used.ru_stime, waited, used.ru_maxrss / 1024)

    def row(self, tried: str, cases: Sequence[Case], seconds: float, megabytes: float) -> Row:
        """How many of the cases were answered as they should be, within so much beyond the least."""
        answers = [self._held(case, seconds, megabytes) for case in cases]
        used = [
            max(0.0, *(getattr(each, of) - getattr(self.least, of) for each, _ in answers))
            for of in Answer._fields[2:]
        ]
        return Row(
            tried,
            len(cases),
            sum(held for _, held in answers),
            numbers=f"at most {used[0]:.1f} s of the processor, {used[1]:.1f} s of the clock and {used[2]:,.0f} MB "
            f"more than a command that finds no file, which takes {self.least.megabytes:,.0f} MB",
        )

    def _held(self, case: Case, seconds: float, megabytes: float) -> tuple[Answer, bool]:
        with tempfile.TemporaryDirectory() as place:
            folder = pathlib.Path(place)
            answer = self.audit([*case.make(folder), "--out", folder / "out"])
            wrong = {
                f"status {answer.status}": answer.status != case.status,
                f"{answer.seconds:.0f} s": answer.seconds - self.least.seconds > seconds,
                f"{answer.megabytes:,.0f} MB": answer.megabytes - self.least.megabytes > megabytes,
                "told": not re.search(case.told, answer.told) or "Traceback" in answer.told,
                "more than a line": case.status == 2 and len(answer.lines) != 1,
                "what it should not do": not case.well(answer, folder),
            }
        found = [what for what, is_so in wrong.items() if is_so]
        if found:
            print(f"{case.name}: {', '.join(found)}: {answer.told[-600:]}", file=sys.stderr)
        return answer, not found


def _started(arguments: list[str], told: int) -> int:
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", "kmix_tf", *arguments]
    process = subprocess.Popen(command, stdout=told, stderr=told, env=os.environ | {"PYTHONPATH": path})
    # It is waited for by its number, which says what it took.
    process.returncode = 0
    return process.pid


def _forked(arguments: list[str], told: int) -> int:
    from kmix_tf.cli import main

    sys.stdout.flush()
    sys.stderr.flush()
    number = os.fork()
    if number:
        return number
    status = 70
    try:
        os.dup2(told, 1)
        os.dup2(told, 2)
        status = main(arguments)
        sys.stderr.flush()
    finally:
        os._exit(status)


def _waited(number: int) -> tuple[int, resource.struct_rusage]:
    limit = threading.Timer(HUNG, os.kill, (number, signal.SIGKILL))
    limit.start()
    try:
        _, status, used = os.wait4(number, 0)
    finally:
        limit.cancel()
    return status, used
