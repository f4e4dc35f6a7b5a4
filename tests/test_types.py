"""What the package's types tell its users: a type checker passes right scripts, and names what is wrong in others."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mypy", reason="mypy is not installed; the extra `dev` brings it")

ROOT = Path(__file__).parents[1]
# Pages that show most of the package.
PAGES = ("README.md", "docs/decisions.md", "docs/models.md")
_IMPORTS = """
import keras
import numpy as np
import tensorflow as tf
from kmix_tf import *
from kmix_tf.analysis.noise import gaussian_noise

layer, model, y = KMixupLayer(16), keras.Sequential([keras.layers.Dense(10)]), tf.ones([4, 4])
"""
# Lines that are wrong, and what the checker has to say of each.
WRONG = {
    "KMixupLayer(16, alhpa=1)": 'Unexpected keyword argument "alhpa" for "KMixupLayer"',
    'KMixupLayer(k="16")': 'Argument "k" to "KMixupLayer" has incompatible type "str"; expected "int"',
    "CutMixLayer(blend=CutMixBlend())": 'Unexpected keyword argument "blend" for "CutMixLayer"',
    "FMixLayer(trainabel=False)": 'Unexpected keyword argument "trainabel" for "FMixLayer"',
    'BetaRatio(1.0, scpoe="batch")': 'Unexpected keyword argument "scpoe" for "BetaRatio"',
    "mix(16)": 'Argument 1 to "mix" has incompatible type "int"; expected "Stage"',
    "mix(KMixupLayer)": 'Argument 1 to "mix" has incompatible type "type[KMixupLayer]"; expected "Stage"',
    "MixModel(model, layer, sede=1)": 'Unexpected keyword argument "sede" for "MixModel"',
    "RescaledModel(model, alhpa=1.0)": 'Unexpected keyword argument "alhpa" for "RescaledModel"',
    "ManifoldMixModel(model, ['dense'], layer, sed=1)": 'Unexpected keyword argument "sed" for "ManifoldMixModel"',
    "ApproximateMixupModel(model)": 'Missing positional argument "alpha" in call to "ApproximateMixupModel"',
    "LocalMixupLoss(los='mse')": 'Unexpected keyword argument "los" for "LocalMixupLoss"',
    "ExpectedCalibrationError(bin=5)": 'Unexpected keyword argument "bin" for "ExpectedCalibrationError"',
    "gaussian_noise(np.ones(8), 0.1).shpae": 'has no attribute "shpae"',
    "unpack_targets(y).weigth": '"PackedTargets" has no attribute "weigth"',
}
RIGHT = {
    "a_right_script": """
layer = KMixupLayer(16, alpha=0.5, num_classes=10, seed=0, name="mixup")
mixed, labels = layer(np.ones([4, 2]), [0, 1, 2, 3], training=True)
dataset = tf.data.Dataset.from_tensor_slices((np.ones([8, 2]), np.ones(8, int))).batch(4)
dataset = dataset.apply(mix(layer, seed=0))
mixing = MixModel(model, layer, seed=0, name="mixing")
mixing.compile("adam", LocalMixupLoss(), metrics=[MixAccuracy(), ExpectedCalibrationError(bins=5)])
MixLayer(OptimalTransportPairing(8), BetaRatio(1.0), CutMixBlend(), ThresholdWeight("quantile:0.5"))
""",
    "what_calls_return": """
from typing import Any, assert_type

from kmix_tf.analysis import (
    expected_calibration_error, lipschitz_lower_bounds, local_mixup_interpolant, matching_distribution,
    mean_matching_cost, reliability_curve,
)
from kmix_tf.analysis.flip import flip_threshold
from kmix_tf.analysis.gradient_variance import gradient_variance
from kmix_tf.plot import plot_interpolants
from matplotlib.axes import Axes

x = np.ones([8, 2])
assert_type(mean_matching_cost(x, k=2), float)
assert_type(expected_calibration_error(y, x), float)
assert_type(reliability_curve(y, x).count, np.ndarray)
assert_type(flip_threshold(x, y, radius=0.1).index, int | None)
assert_type(lipschitz_lower_bounds(x, y, [1.0]), np.ndarray)
assert_type(matching_distribution(x, 0, k=2).indices, np.ndarray)
assert_type(local_mixup_interpolant(x, neighbors=2), np.ndarray)
variance = gradient_variance(model, x, y, "squared_error")
assert_type(variance.variance(32), float)
assert_type(variance.variance([32, 64], interpolations=5), np.ndarray)
assert_type(plot_interpolants([1.0, 2.0], neighbors=2), Axes)
assert_type(KMixupLayer(16).get_config(), dict[str, Any])
assert_type(unpack_targets(y), PackedTargets)
""",
    "decisions_of_ones_own": """
from collections.abc import Sequence
from typing import Any

class Brightness(SaliencySource):
    def __call__(self, features: Sequence[tf.Tensor], targets: Any) -> tf.Tensor:
        return tf.reduce_mean(features[0], axis=-1)

class Half(RatioStrategy):
    def __call__(self, group: tf.Tensor, seed: tf.Tensor, distances: Any = None) -> tf.Tensor:
        return tf.fill(tf.shape(group), 0.5)

def halves(group: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    return tf.fill(tf.shape(group), 0.5)

SaliencyMixLayer(saliency=Brightness())
MixLayer(ratio=Half())
MixLayer(ratio=halves)
""",
}


def _shown(page: str) -> str:
    """All that a page shows of Python, as it would be pasted, one block after another."""
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL)
    assert blocks
    return "\n".join(blocks)


@pytest.fixture(scope="module")
def complaints(tmp_path_factory):
    """What mypy says of each script, by the script's name; of all in one run, which takes seconds."""
    scripts = {f"wrong_{number}": _IMPORTS + line for number, line in enumerate(WRONG)}
    scripts |= {name: _IMPORTS + body for name, body in RIGHT.items()}
    scripts |= {f"page_{number}": _shown(page) for number, page in enumerate(PAGES)}
    folder = tmp_path_factory.mktemp("scripts")
    for name, text in scripts.items():
        (folder / f"{name}.py").write_text(f"{text}\n")
    # Silent about the package itself, which is checked by `make lint`.
    options = ["--config-file", ROOT / "pyproject.toml", "--follow-imports=silent", "--cache-dir", folder / "cache"]
    run = subprocess.run(
        [sys.executable, "-m", "mypy", *options, *sorted(folder.glob("*.py"))],
        capture_output=True,
        text=True,
        env={**os.environ, "MYPYPATH": str(ROOT)},
        cwd=folder,
    )
    assert run.returncode == 1, run.stdout + run.stderr
    said = dict.fromkeys(scripts, "")
    for line in run.stdout.splitlines()[:-1]:  # the last one counts
        said[line.partition(".py:")[0]] += f"{line}\n"
    return said


@pytest.mark.parametrize("number", range(len(WRONG)), ids=list(WRONG))
def test_a_wrong_line_is_an_error_that_names_what_is_wrong(complaints, number):
    found = complaints[f"wrong_{number}"]
    assert list(WRONG.values())[number] in found
    assert found.count(": error:") == 1
    assert f".py:{_IMPORTS.count(chr(10)) + 1}: " in found


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_script_has_no_error(complaints, name):
    assert complaints[name] == ""


@pytest.mark.parametrize("number", range(len(PAGES)), ids=PAGES)
def test_what_a_page_shows_has_no_error(complaints, number):
    assert complaints[f"page_{number}"] == ""
