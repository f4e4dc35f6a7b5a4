"""The recipes of CONTRIBUTING.md work as they stand, and the way of a batch is the one it lists."""

import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import kmix_tf

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "CONTRIBUTING.md").read_text()
RECIPES = re.findall(r"^(An? \w+):.*?```python\n(.*?)```", TEXT, flags=re.MULTILINE | re.DOTALL)
X = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)


def test_there_is_a_recipe_for_each_decision():
    assert [name for name, _ in RECIPES] == ["A pairing", "A ratio", "A blend", "A weight"]


@pytest.mark.parametrize(("name", "recipe"), RECIPES, ids=[name for name, _ in RECIPES])
def test_a_recipe_makes_a_layer_that_mixes_in_a_pipeline(name, recipe):
    names = {**vars(kmix_tf), "tf": tf}
    exec(recipe, names)
    assert len(recipe.splitlines()) <= 12
    dataset = tf.data.Dataset.from_tensor_slices((X, np.eye(6, dtype=np.float32))).batch(6)
    x, y, *weight = next(iter(dataset.apply(kmix_tf.mix(names["layer"], seed=1))))
    assert x.shape == X.shape
    np.testing.assert_allclose(tf.reduce_sum(y, axis=1), 1, rtol=1e-6)
    assert not np.array_equal(x, X)
    assert len(weight) == (name == "A weight")


def test_every_file_on_the_way_exists():
    for path in re.findall(r"`((?:\w+/)*\w+\.py|\w+/(?:\w+/)*)`", TEXT):
        places = [ROOT / path, ROOT / "kmix_tf" / path, *(ROOT / "kmix_tf").glob(f"*/{path}")]
        assert any(place.exists() for place in places), path


def test_a_batch_goes_a_short_way_in_one_direction():
    spec = importlib.util.spec_from_file_location("trace_batch", ROOT / "tools" / "trace_batch.py")
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    # Wider than any other test's, so that compiled functions are traced here, too.
    calls = tool.calls_of(kmix_tf.KMixupLayer(16), tf.zeros([64, 7, 9, 1]), tf.zeros([64, 11]))
    assert len({module for module, _ in calls}) <= 16
    assert len(tool.moves_in(calls)) <= 59
