"""A saved model holds no code of ours, and names no function of another module that a mix would call."""

import keras
import pytest

from kmix_tf import MixLayer, MixModel

HOSTILE = {
    "a function of another module": {"class_name": "function", "config": "run", "module": "subprocess"},
    "a function of Python's": {"class_name": "function", "config": "eval", "module": "builtins"},
    "a class": {"class_name": "Popen", "module": "subprocess", "config": {"args": ["true"]}, "registered_name": None},
    "a lambda": {"class_name": "__lambda__", "config": {"value": "4wEAAAA="}},
}


@pytest.mark.parametrize("part", ["pairing", "ratio", "blend", "weight"])
@pytest.mark.parametrize("kind", HOSTILE)
def test_a_configuration_brings_no_function_that_nobody_registered(part, kind):
    saved = keras.saving.serialize_keras_object(MixLayer(num_classes=3))
    value = {"registered_name": "function", **HOSTILE[kind]}
    with pytest.raises((TypeError, ValueError)):
        keras.saving.deserialize_keras_object({**saved, "config": {**saved["config"], part: value}})


def first_ratio(group, seed):
    """A function of a user's."""
    return group * 0 + 1


def test_a_function_that_is_given_is_found_and_one_that_is_not_is_refused():
    saved = keras.saving.serialize_keras_object(MixLayer(ratio=first_ratio, num_classes=3))
    with keras.saving.custom_object_scope({"first_ratio": first_ratio}):
        restored = keras.saving.deserialize_keras_object(saved)
    assert restored.get_config()["ratio"] == saved["config"]["ratio"]
    with pytest.raises((TypeError, ValueError)):
        keras.saving.deserialize_keras_object(saved)


def test_a_model_with_a_mix_is_saved_and_loaded_in_safe_mode(tmp_path):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="softmax")])
    mixed = MixModel(model, MixLayer(num_classes=3))
    mixed.compile("sgd", "categorical_crossentropy")
    mixed.save(str(tmp_path / "m.keras"))
    loaded = keras.models.load_model(str(tmp_path / "m.keras"), safe_mode=True)
    assert type(loaded) is MixModel and b"Lambda" not in (tmp_path / "m.keras").read_bytes()
