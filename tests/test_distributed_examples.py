"""The examples of tf.data service: one command runs a service and trains, and nothing of it stays behind."""

import ast
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import pytest

ROOT = pathlib.Path(__file__).parents[1]
FOLDER = ROOT / "examples" / "distributed"

# What Python does with a script, without importing TensorFlow anew.
RUN = """
import runpy, sys
folder, root = sys.argv[1:3]
sys.argv[:] = [folder + "/service.py", *sys.argv[3:]]
sys.path[:1] = [folder, root]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def is_alive(process):
    """Whether a process of this number runs; one that has ended and is not yet waited for does not."""
    try:
        return pathlib.Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def all_end(processes, seconds=60):
    until = time.monotonic() + seconds
    while any(map(is_alive, processes)) and time.monotonic() < until:
        time.sleep(0.1)
    return not any(map(is_alive, processes))


def started(output):
    """The numbers of the processes that are said to be started."""
    return [int(number) for number in re.findall(r"^started process (\d+): ", output, flags=re.MULTILINE)]


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.name)
def test_a_file_is_short_and_says_when_to_use_it(path):
    text = path.read_text()
    assert len(text.splitlines()) < 100
    assert ast.get_docstring(ast.parse(text)).startswith("When to use it: ")


@pytest.mark.parametrize(
    "where, sharding", [("after", "DYNAMIC"), ("workers", "FILE"), ("after", "OFF"), ("workers", "DATA")]
)
@pytest.mark.representatives("where, sharding", [("after", "DYNAMIC"), ("workers", "FILE")])
def test_one_command_starts_a_service_trains_and_ends_it(where, sharding, elsewhere, tmp_path):
    options = ["--where", where, "--sharding", sharding, "--epochs", 5]
    output = elsewhere(RUN, FOLDER, ROOT, *options, folder=tmp_path)
    assert ast.literal_eval(output.splitlines()[-1])["accuracy"] > 0.7
    told = [
        [int(count) for count in re.findall(r"(\d+) batches of localhost:\d+", line)] for line in output.splitlines()
    ]
    assert [sum(counts) for counts in told if counts] == [24] * 5
    assert max(map(len, told)) == 2  # both workers send
    assert len(started(output)) == 3 and all_end(started(output))


@pytest.mark.parametrize("end, status", [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)])
@pytest.mark.representatives("end, status", [(signal.SIGINT, 130)])
def test_all_processes_end_with_the_command(end, status, tmp_path):
    command = [sys.executable, str(FOLDER / "service.py"), "--epochs", "100000"]
    trainer = subprocess.Popen(
        command,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    try:
        output = ""
        while "epoch 1:" not in output:
            line = trainer.stdout.readline()
            assert line, output
            output += line
        # As a terminal does on Ctrl-C: to all of them.
        (os.killpg if end == signal.SIGINT else os.kill)(trainer.pid, end)
        trainer.communicate(timeout=120)
    finally:
        trainer.kill()
    assert trainer.returncode == status
    assert len(started(output)) == 3 and all_end(started(output))
