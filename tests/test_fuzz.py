"""The random trials of reliability/fuzz.py can fail: each part of a mix that is bent shows."""

import importlib
import pathlib
import sys

import numpy as np
import pytest
import tensorflow as tf

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "reliability"))
cases, spoilt = (importlib.import_module(f"fuzzing.{name}") for name in ("cases", "spoilt"))

pytestmark = [
    pytest.mark.usefixtures("plain_functions"),
    pytest.mark.filterwarnings("ignore"),
]


def first_seen(most=40):
    """What is said of the first case that does not hold."""
    for number in range(most):
        try:
            cases.check(cases.case(number))
        except AssertionError as error:
            return str(error)
    return None


BENT = {
    "features": ("kmix_tf.blend.linear", "interpolate_leaf", lambda mixed: mixed * tf.cast(1.01, mixed.dtype)),
    "labels do not follow": ("kmix_tf.blend.masked", "_mean", lambda share: share * 0.99),
    "weights of pairs": ("kmix_tf.mixing.draw", "mean_one", lambda weight: weight * 1.01),
    "a group is matched": ("kmix_tf.pairing.transport", "facing_cost", lambda cost: -cost),
}


@pytest.mark.parametrize("what", BENT)
def test_what_is_bent_shows(what, monkeypatch):
    module, name, bend = BENT[what]
    module = importlib.import_module(module)
    ask = getattr(module, name)
    monkeypatch.setattr(module, name, lambda *told, **named: bend(ask(*told, **named)))
    assert what in first_seen()


def test_a_case_follows_from_its_number_and_holds():
    for number in range(3):
        one, other = cases.case(number), cases.case(number)
        assert {**one.layer.get_config(), "name": ""} == {**other.layer.get_config(), "name": ""}
        for first, second in zip(tf.nest.flatten(one.batch.x), tf.nest.flatten(other.batch.x), strict=True):
            np.testing.assert_array_equal(first, second)
        cases.check(one)


def test_words_of_others_do_not_count_as_ours():
    assert spoilt.is_ours(TypeError("MixLayer: features must be numeric. Received: text."))
    for error in (ValueError("Only input tensors"), RuntimeError("MixLayer: x. Received: y."), TypeError("Dense: a")):
        assert not spoilt.is_ours(error)
    for number in range(5):
        spoilt.refused(number)
        spoilt.configured(number)
