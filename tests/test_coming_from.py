"""What the guide "Coming from ..." puts beside the calls of other libraries can be called."""

import pathlib
import re

import keras
import pytest

import kmix_tf
from kmix_tf._compat import IS_KERAS_3

GUIDE = pathlib.Path(__file__).parents[1] / "docs" / "guides" / "coming_from.md"


def calls_beside_theirs():
    """The second column of its tables, call by call."""
    rows = [line for line in GUIDE.read_text().splitlines() if line.startswith(("| `", "| a "))]
    return [call for row in rows for call in re.findall(r"`([^`]+\))", row.split(" | ")[1])]


@pytest.mark.skipif(not IS_KERAS_3, reason="pages are written for Keras 3; examples run in both")
def test_each_can_be_called():
    layers = [keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3, name="map"), keras.layers.Flatten()]
    mixing = kmix_tf.KMixupLayer(1, num_classes=4)
    known = {**vars(kmix_tf), **vars(keras.losses), "alpha": 1.0, "layers": ["map"], "mix": mixing}
    known |= {
        "model": keras.Sequential([*layers, keras.layers.Dense(4)]),
        "steps_per_epoch": 5,
        "probabilities": None,
    }
    calls = calls_beside_theirs()
    assert len(calls) > 20
    for call in calls:
        of_choice = {"layers": [mixing, None]} if call.startswith("ChoiceLayer(layers") else {}
        code = call.removeprefix("schedule=").replace("...", "4")
        assert eval(code, {**known, **of_choice}) is not None, call
