"""Every example runs as a person would run it, in a folder of its own."""

import ast
import importlib.util
import os
import pathlib
import subprocess
import sys

import pytest

from kmix_tf._compat import IS_KERAS_3

ROOT = pathlib.Path(__file__).parents[1]
EXAMPLES = sorted(path.stem for path in (ROOT / "examples").glob("*.py"))


# What Python does with a script, without importing TensorFlow anew.
RUN = """
import runpy, sys
sys.path[:1] = [sys.argv[2], sys.argv[3]]
runpy.run_path(sys.argv[1], run_name="__main__")
"""


def run_example(name, folder):
    """Standard output of an example, run in `folder`."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(ROOT / "examples" / f"{name}.py")]
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr[-3000:]
    return result.stdout


# What an example prints last as a dictionary, and a bound that a model which had learnt nothing would not pass.
LEARNT = {
    "calibration": ("accuracy", 0.9),
    "choice": ("accuracy", 0.7),
    "custom_loop": ("accuracy", 0.7),
    "dict_datasets": ("accuracy", 0.7),
    "feature_space": ("accuracy", 0.7),
    "fine_tuning": ("accuracy", 0.4),
    "layer_inside": ("sparse_categorical_accuracy", 0.7),
    "multi_label": ("mix_auc", 0.7),
    "series_windows": ("explained", 0.8),
    "spectrograms": ("accuracy", 0.6),
    "two_outputs": ("price", 0.8),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_short_and_says_when_to_use_it(name):
    text = (ROOT / "examples" / f"{name}.py").read_text()
    assert len(text.splitlines()) < 60
    assert ast.get_docstring(ast.parse(text)).startswith("When to use it: ")


@pytest.mark.parametrize("name", [name for name in EXAMPLES if name not in ("quickstart", "text")])
def test_example_runs(name, tmp_path, elsewhere):
    if name == "addons_pipeline" and IS_KERAS_3:
        pytest.skip("tensorflow-addons imports with TensorFlow 2.15 at most; this runs in the addons environment")
    if name.startswith("torch") and importlib.util.find_spec("torch") is None:
        pytest.skip("torch is not installed here; this runs in the environment of other back ends")
    output = elsewhere(RUN, ROOT / "examples" / f"{name}.py", ROOT / "examples", ROOT, folder=tmp_path)
    assert output.strip() and "nan" not in output.lower()
    if name in LEARNT:
        score, least = LEARNT[name]
        printed = [line for line in output.splitlines() if line.startswith("{")]
        assert ast.literal_eval(printed[-1])[score] > least


def test_the_texts_are_told_apart(tmp_path, elsewhere):
    output = elsewhere(RUN, ROOT / "examples" / "text.py", ROOT / "examples", ROOT, folder=tmp_path)
    kind, bad = (float(line.split()[-1]) for line in output.splitlines() if "praise with probability" in line)
    assert kind > 0.7 and bad < 0.3


def test_the_quickstart_is_short_learns_and_exports(tmp_path):
    assert len((ROOT / "examples" / "quickstart.py").read_text().splitlines()) < 30
    lines = run_example("quickstart", tmp_path).splitlines()
    scores = ast.literal_eval(next(line for line in lines if line.startswith("{")))
    # Ten classes: a model that had learnt nothing, or from labels that do not belong, would stay near 0.1.
    assert scores["accuracy"] > 0.8
    assert (tmp_path / "saved_models" / "quickstart" / "saved_model.pb").is_file()
