"""A signal ends a command where it is: it says one line, undoes what it had begun, and leaves no process behind."""

import os
import signal
import subprocess
import sys
import time

import pytest

from kmix_tf import _stopping

# The module by itself, which needs neither TensorFlow nor the package.
BEGIN = f"""
import importlib.util, os, pathlib, signal, subprocess, sys, time
spec = importlib.util.spec_from_file_location("stopping", {_stopping.__file__!r})
stopping = importlib.util.module_from_spec(spec)
spec.loader.exec_module(stopping)
stopping.take_over()
here = pathlib.Path(sys.argv[1])
def send(number=signal.SIGINT):
    os.kill(os.getpid(), number)
    time.sleep(0.05)
"""


def ended(program, tmp_path, numbers=(signal.SIGINT, signal.SIGTERM, signal.SIGHUP), handler=signal.SIG_DFL):
    """How a program ends in a process that heeds signals, as one begun in the background would not."""

    def heed():
        for number in numbers:
            signal.signal(number, handler)

    command = [sys.executable, "-c", BEGIN + program, str(tmp_path)]
    return subprocess.run(command, capture_output=True, text=True, check=False, preexec_fn=heed, timeout=120)


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_ends_with_one_line_and_its_status(name, tmp_path):
    done = ended(f"send(signal.{name})\nprint('went on')", tmp_path)
    number = getattr(signal, name)
    assert (done.returncode, done.stderr, done.stdout) == (128 + number, "kmix-tf: stopped.\n", "")


def test_what_is_ignored_from_the_beginning_stays_so(tmp_path):
    done = ended("send(signal.SIGHUP)\nsend(signal.SIGINT)\nprint('went on')", tmp_path, handler=signal.SIG_IGN)
    assert (done.returncode, done.stdout) == (0, "went on\n")


def test_no_code_can_lose_the_signal(tmp_path):
    done = ended("try:\n    send()\nexcept BaseException:\n    pass\nprint('went on')", tmp_path)
    assert (done.returncode, done.stdout) == (130, "")


def test_what_was_begun_is_undone_the_last_first_and_what_is_done_stays(tmp_path):
    program = """
def undo(name):
    return lambda: (here / "undone").open("a").write(name)
def broken():
    raise RuntimeError
with stopping.undoing(undo("done ")):
    pass
with stopping.undoing(undo("first ")), stopping.undoing(broken), stopping.undoing(undo("second ")):
    send()
"""
    assert ended(program, tmp_path).returncode == 130
    assert (tmp_path / "undone").read_text() == "second first "


def test_what_tensorflow_generated_is_taken_away(tmp_path):
    program = """
import tempfile
tempfile.tempdir = str(here)
from tensorflow.python.autograph.pyct import loader
loader.load_source("x = 1", delete_on_exit=True)
assert len(list(here.glob("*.py"))) == 1
send()
"""
    assert ended(program, tmp_path).returncode == 130
    assert not list(tmp_path.glob("*.py"))


def test_what_is_held_is_not_cut_in_two(tmp_path):
    program = """
with stopping.held():
    with stopping.held():
        send()
    (here / "whole").touch()
(here / "too far").touch()
"""
    assert ended(program, tmp_path).returncode == 130
    assert os.listdir(tmp_path) == ["whole"]


def test_the_first_signal_is_an_error_where_that_is_asked_for_and_the_second_ends_it(tmp_path):
    program = """
try:
    with stopping.raising():
        with stopping.held():
            send(signal.SIGTERM)
            print("held", flush=True)
        print("went on")
except KeyboardInterrupt as error:
    print(error.number, flush=True)
    send()
print("went on")
"""
    done = ended(program, tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (130, "held\n15\n", "kmix-tf: stopped.\n")


def test_once_it_is_done_nothing_ends_it(tmp_path):
    done = ended("stopping.finish()\nsend()\nprint('done')", tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")


def test_a_process_that_was_begun_ends_too_and_never_hears_of_the_interrupt_key(tmp_path):
    program = """
child = f"import os, time; open({str(here / 'child')!r}, 'w').write(str(os.getpid())); time.sleep(600)"
def wait(process):
    while not ((here / "child").exists() and (here / "child").read_text()):
        time.sleep(0.01)
    os.kill(int((here / "child").read_text()), signal.SIGINT)
    time.sleep(0.2)
    print(process.poll(), flush=True)
    send(signal.SIGTERM)
subprocess.Popen.communicate = wait
stopping.run([sys.executable, "-c", child])
"""
    done = ended(program, tmp_path)
    assert (done.returncode, done.stdout) == (143, "None\n")
    child, until = int((tmp_path / "child").read_text()), time.monotonic() + 60
    while is_there(child) and time.monotonic() < until:
        time.sleep(0.05)
    assert not is_there(child)


def is_there(process):
    """Whether it runs: one that has ended, and whom nobody asks, is still listed."""
    try:
        with open(f"/proc/{process}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_what_a_process_gives_is_text_with_its_status():
    done = _stopping.run([sys.executable, "-c", "import sys; print('é'); print('no', file=sys.stderr); sys.exit(3)"])
    assert (done.returncode, done.stdout, done.stderr) == (3, "é\n", "no\n")


@pytest.mark.parametrize(
    ("argv", "original", "expected"),
    [
        (["/usr/bin/kmix-tf", "demo"], [], True),
        (["kmix-tf.exe"], [], True),
        (["-m"], ["python", "-m", "kmix_tf", "demo"], True),
        (["-m"], ["python", "-m", "pytest"], False),
        (["train.py", "kmix-tf"], [], False),
        ([], [], False),
    ],
)
def test_only_the_command_takes_signals_over(argv, original, expected, monkeypatch):
    monkeypatch.setattr(sys, "argv", argv)
    monkeypatch.setattr(sys, "orig_argv", original)
    assert _stopping.is_command() is expected


def test_the_package_by_itself_leaves_signals_alone():
    # The tests' own process has imported it.
    assert all(signal.getsignal(number) is not _stopping._stop for number in _stopping._SIGNALS)
