"""The example of two workers runs as a person would run it: two processes, which end with equal weights."""

import ast
import os
import pathlib
import re
import signal
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[1]
EXAMPLE = ROOT / "examples" / "distributed" / "two_workers.py"


def test_two_workers_learn_the_same():
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    # In a group of its own, so that workers which wait for one another end with it.
    command = [sys.executable, str(EXAMPLE)]
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        output, errors = process.communicate(timeout=600)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    assert process.returncode == 0, errors[-3000:]
    # Both write to one pipe, so that one's line may follow the other's before that has ended.
    first, second = (ast.literal_eval(found) for found in re.findall(r"\{.*?\}", output))
    assert first == second
    assert first["accuracy"] > 0.7


def test_it_is_short_and_says_when_to_use_it():
    text = EXAMPLE.read_text()
    assert len(text.splitlines()) < 65
    assert ast.get_docstring(ast.parse(text)).startswith("When to use it: ")
