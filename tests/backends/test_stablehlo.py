"""JAX runs the programs that TensorFlow compiles, and gives what TensorFlow gives."""

import json
import os
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest

pytest.importorskip("jax", reason="JAX is not installed here; see `make test-backends`")

SCRIPT = pathlib.Path(__file__).parents[2] / "benchmarks" / "accelerator.py"

# As on a machine where there is no TensorFlow, which the half that runs programs does without.
WITHOUT_TENSORFLOW = """
import runpy, sys
sys.modules.update(tensorflow=None, keras=None, kmix_tf=None)
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def output_of(*arguments):
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    result = subprocess.run(
        [sys.executable, *arguments], env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr[-3000:]
    return result.stdout


def ran(folder):
    """What the half without TensorFlow finds of each program."""
    arguments = ["-c", WITHOUT_TENSORFLOW, str(SCRIPT), "--run", str(folder), "--rounds", "1"]
    return json.loads(output_of(*arguments))["programs"]


def test_exported_programs_give_there_what_they_give_here(tmp_path):
    if keras.backend.backend() == "torch":
        pytest.skip("nothing of it is of Keras' back end: once is enough")
    output_of(str(SCRIPT), "--export", str(tmp_path), "--quick")
    programs = ran(tmp_path)
    assert len(programs) == 7 and all(row["agrees"] for row in programs.values())
    # A program that gave something else would be told.
    with np.load(tmp_path / "2-results.npz") as file:
        np.savez(tmp_path / "2-results.npz", file["arr_0"] + 0.01)
    assert [name for name, row in ran(tmp_path).items() if not row["agrees"]] == ["blend"]
