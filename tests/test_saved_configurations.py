"""What any release saved still loads, and answers as then."""

import importlib.util
import inspect
import json
import pathlib

import keras
import numpy as np
import pytest

import kmix_tf

ROOT = pathlib.Path(__file__).parents[1]
GENERATION = f"keras{keras.__version__.split('.')[0]}"
FOLDERS = sorted(path.parent for path in (ROOT / "saved_models").glob("*/configurations.json"))
# Which are no longer understood, and what the error says to do.
REFUSED = {}


def reference(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "saved_models" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


CONFIGURED = reference("configured")


def minor(version):
    return version.split(".")[:2]


def cases(is_wanted):
    """Each folder with each name in it that is wanted here."""
    return [
        pytest.param(folder, name, id=f"{folder.name}-{name}")
        for folder in FOLDERS
        for name in json.loads((folder / "configurations.json").read_text())
        if is_wanted(folder, name)
    ]


def is_of_here(folder, name):
    return folder.name.endswith(GENERATION)


def is_read_here(folder, name):
    """Keras 3 reads what Keras 2 wrote of layers. Models within models, and losses, it does not."""
    return is_of_here(folder, name) or (GENERATION == "keras3" and name in CONFIGURED.LAYERS)


def is_mixed_here(folder, name):
    return is_of_here(folder, name) and name in CONFIGURED.LAYERS


def saved(folder, name):
    return json.loads((folder / "configurations.json").read_text())[name]


# What Keras adds of its own, in another form in each generation.
KERAS_OWN = ("module", "dtype", "trainable", "autocast")


@pytest.mark.parametrize(("folder", "name"), cases(is_read_here))
def test_a_configuration_loads_with_the_options_it_had(folder, name):
    before = saved(folder, name)
    version = folder.name.partition("-")[0]
    if (version, name) in REFUSED:
        with pytest.raises((TypeError, ValueError), match=REFUSED[version, name]):
            keras.saving.deserialize_keras_object(before)
        return
    loaded = keras.saving.deserialize_keras_object(before)
    assert type(loaded).__name__ == before["class_name"]
    require_all_of(before["config"], json.loads(json.dumps(loaded.get_config())), name)


def require_all_of(before, now, place):
    """Whatever was said before is said now; there may be new options."""
    if isinstance(before, dict):
        if str(before.get("module")).startswith("keras"):
            return  # A model, a metric or the like, whose configuration is Keras' business.
        for key in set(before) - set(KERAS_OWN):
            require_all_of(before[key], now[key], f"{place}/{key}")
    elif isinstance(before, list):
        assert len(before) == len(now), place
        for at, pair in enumerate(zip(before, now, strict=True)):
            require_all_of(*pair, f"{place}/{at}")
    else:
        assert before == now, place


@pytest.mark.usefixtures("plain_functions")
@pytest.mark.parametrize(("folder", "name"), cases(is_mixed_here))
def test_a_layer_of_any_release_mixes_and_one_of_this_minor_version_the_same(folder, name):
    version = folder.name.partition("-")[0]
    if (version, name) in REFUSED:
        pytest.skip("it is refused")
    layer = keras.saving.deserialize_keras_object(saved(folder, name))
    stored = np.load(folder / "mixtures.npz")
    then = [stored[f"{name}/{part}"] for part in range(3) if f"{name}/{part}" in stored]
    step = {} if layer.schedule is None else {"step": 3}
    now = [np.asarray(part) for part in layer(*CONFIGURED.batch(), seed=CONFIGURED.SEED, **step)]
    assert [(part.shape, part.dtype) for part in now] == [(part.shape, part.dtype) for part in then]
    if minor(version) == minor(kmix_tf.__version__):
        for ours, theirs in zip(now, then, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "folder", [folder for folder in FOLDERS if folder.name.endswith(GENERATION)], ids=lambda path: path.name
)
def test_a_saved_model_of_any_release_answers_as_then(folder):
    stored = np.load(folder / "expected.npz")
    answer = keras.models.load_model(folder / "rescaled.keras").predict(stored["x"], verbose=0)
    np.testing.assert_allclose(answer, stored["answer"], rtol=1e-5, atol=1e-5)


def test_the_present_version_has_its_references():
    names = {folder.name for folder in FOLDERS}
    assert {f"{kmix_tf.__version__}-keras2", f"{kmix_tf.__version__}-keras3"} <= names


def test_one_seed_makes_one_mixture_with_both_generations_of_keras():
    for version in {folder.name.partition("-")[0] for folder in FOLDERS}:
        two, three = (np.load(ROOT / "saved_models" / f"{version}-keras{n}" / "mixtures.npz") for n in (2, 3))
        assert set(two) == set(three) and len(two.files) > 4
        for name in two:
            np.testing.assert_allclose(two[name], three[name], rtol=1e-5, atol=1e-5, err_msg=name)


# Made of functions, which are the user's.
NOT_KEPT = {"DistributionRatio", "StyleMixBlend", "StyleCutMixBlend"}


def test_every_public_class_that_is_saved_has_a_reference():
    kept = (ROOT / "saved_models" / f"{kmix_tf.__version__}-{GENERATION}" / "configurations.json").read_text()
    for name in kmix_tf.__all__:
        value = getattr(kmix_tf, name)
        if inspect.isclass(value) and hasattr(value, "get_config") and not name.endswith(("Strategy", "Source")):
            assert (f'"class_name":"{name}"' in kept) == (name not in NOT_KEPT), name
