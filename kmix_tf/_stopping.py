"""What ends a command, at whatever moment: the interrupt key, a scheduler, a closed terminal.

A command ends where it is. An error that had to find its way out of TensorFlow and Keras would be lost in some
places, made another one in others, and told with pages of frames while a library is being imported. So what a command
has begun says how it is undone, and the signal's handler undoes it. Only a process that is the command does all this:
in others, which import the package, signals mean what they meant.

Python's own libraries only: this comes before TensorFlow, whose import takes seconds.
"""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
_NAMES = ("kmix-tf", "kmix-tf.exe", "kmix-tf-script.py")

_to_undo: list[Callable[[], Any]] = []
# One entry for each that must not be cut in two; signals that come meanwhile.
_held: list[None] = []
_late: list[int] = []


class Stopped(KeyboardInterrupt):
    """A signal, where a command ends by an error. number: of the signal."""

    def __init__(self, number: int = signal.SIGINT):
        super().__init__()
        self.number = int(number)


def is_command() -> bool:
    """Whether this process is `kmix-tf` or `python -m kmix_tf`, and none that it began."""
    beginner = sys.modules.get("multiprocessing.process")
    if beginner is not None and beginner.parent_process() is not None:
        return False
    name = os.path.basename(sys.argv[0]) if getattr(sys, "argv", None) else ""
    # While a package is being imported to run it, that is all that stands there.
    return name in _NAMES or (name == "-m" and "kmix_tf" in sys.orig_argv)


def take_over() -> None:
    """From now on, a signal ends this process with one line, and with what it had begun undone."""
    for number in _SIGNALS:
        # In the background, and under nohup, what is ignored stays so.
        if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(number, _stop)


def finish() -> None:
    """What was asked is done, and said: there is nothing to end any more but Python itself."""
    for number in _SIGNALS:
        if signal.getsignal(number) is _stop:
            signal.signal(number, signal.SIG_IGN)


def _stop(number: int, frame: Any = None) -> None:
    if _held:
        _late.append(number)
        return
    for each in _SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    _end_children()
    for undo in reversed(_to_undo):
        with contextlib.suppress(Exception):
            undo()
    _remove_generated()
    with contextlib.suppress(OSError):
        os.write(2, b"kmix-tf: stopped.\n")
    # Not by way of what Python does at its end, which waits for threads and speaks of what was left.
    os._exit(128 + number)


def _end_children() -> None:
    known = sys.modules.get("multiprocessing")
    for child in known.active_children() if known is not None else ():
        with contextlib.suppress(Exception):
            child.kill()
            child.join(5)


def _remove_generated() -> None:
    """TensorFlow writes Python files for what it traces, and would take them away at Python's end."""
    for name, module in list(sys.modules.items()):
        if name.startswith("__autograph_generated_file"):
            with contextlib.suppress(OSError, TypeError):
                os.unlink(getattr(module, "__file__", None))  # type: ignore[arg-type]


@contextlib.contextmanager
def held() -> Iterator[None]:
    """Within it, signals wait: for what must not be cut in two, and takes no time."""
    _held.append(None)
    try:
        yield
    finally:
        _held.pop()
        if _late and not _held:
            signal.raise_signal(_late.pop())


@contextlib.contextmanager
def undoing(undo: Callable[[], Any]) -> Iterator[None]:
    """If a signal ends the process within it, `undo` is called; it must bear being called when nothing was begun."""
    _to_undo.append(undo)
    try:
        yield
    finally:
        _to_undo.remove(undo)


@contextlib.contextmanager
def raising() -> Iterator[None]:
    """Within it, the first signal raises `Stopped` instead, for what has more to do at its end than to be undone."""

    def stop(number: int, frame: Any) -> None:
        if _held:
            _late.append(number)
            return
        for each, handler in before.items():
            signal.signal(each, handler)
        raise Stopped(number)

    try:
        before = {
            each: handler for each in _SIGNALS if (handler := signal.getsignal(each)) in (signal.SIG_DFL, _stop)
        }
        for each in before:
            signal.signal(each, stop)
    except ValueError:  # Not in the main thread, which alone gets signals.
        before = {}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


@contextlib.contextmanager
def deaf_children() -> Iterator[None]:
    """Processes that begin within it never hear of the interrupt key or a closed terminal, not even as they begin.

    Both go to all processes of a terminal. The one that waits for these ends them.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """`subprocess.run` of text, of a process that ends with this one."""
    with contextlib.ExitStack() as stack:
        with held(), deaf_children():
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            stack.enter_context(undoing(process.kill))
        try:
            out, err = process.communicate()
        finally:
            process.kill()
    return subprocess.CompletedProcess(command, process.returncode, out, err)


if is_command():
    take_over()
