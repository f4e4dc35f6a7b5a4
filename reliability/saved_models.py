"""Layers in `.keras` files, as they are, and with something in the place of a setting that would run something."""

import copy
import importlib.util
import json
import pathlib
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

from harness import Row, main

TITLE = "Saved models that would run something"
ROOT = pathlib.Path(__file__).parents[1]
# Of a folder: what ran made it.
RAN = "it-ran"
# Settings of any layer, which Keras reads itself.
OF_KERAS = {"name", "trainable", "dtype"}


def measure(short: bool) -> Iterator[Row]:
    """The rows."""
    every = layers()
    names = sorted(every)[:: 16 if short else 1]
    loaded = tried = refused = of_keras = 0
    with tempfile.TemporaryDirectory() as place:
        folder = pathlib.Path(place)
        for name in names:
            saved(every[name](), folder / "m.keras")
            # Written anew as the others are, so that these are refused for what was put in.
            loaded += outcome(with_config(folder, config_of(folder)), folder / RAN) == "loaded"
            for config in spoilt(config_of(folder), folder / RAN, short):
                tried += 1
                found = outcome(with_config(folder, config), folder / RAN)
                refused += found == "refused"
                if found != "refused":
                    print(f"{name}, setting {tried}: {found}", config["config"]["layer"], file=sys.stderr)
        for part in parts(folder / RAN):
            of_keras += outcome(of_dense(folder, part), folder / RAN) == "refused"
    control = f"Keras' own Dense refuses {of_keras} of {len(parts(folder))} as its activation"
    yield Row("A layer in a .keras file is loaded in safe mode", len(names), loaded)
    yield Row("A .keras file one of whose settings would run something is refused", tried, refused, control)


def layers() -> dict[str, Callable[[], Any]]:
    """All that the tests of layers know."""
    spec = importlib.util.spec_from_file_location("layers_of_the_tests", ROOT / "tests" / "layers" / "conftest.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.LAYERS


def saved(layer: Any, path: pathlib.Path) -> None:
    """A model that is built, with the layer in it."""
    import keras

    from kmix_tf import MixModel

    model = keras.Sequential([keras.Input((4, 6, 1)), keras.layers.Flatten(), keras.layers.Dense(3)])
    mixed = MixModel(model, layer)
    mixed.save(str(path))


def outcome(path: pathlib.Path, ran: pathlib.Path) -> str:
    """Of a file that is loaded: "loaded", "refused", or "ran"."""
    import keras

    found = "loaded"
    try:
        keras.models.load_model(str(path), safe_mode=True, compile=False)
    except (TypeError, ValueError):
        found = "refused"
    if ran.exists():
        ran.rmdir()
        found = "ran"
    return found


def parts(ran: pathlib.Path) -> list[dict[str, Any]]:
    """What would make a folder, or name a function that runs what it is given."""
    arguments = {"args": ["mkdir", str(ran)]}
    return [
        {"class_name": "Popen", "module": "subprocess", "config": arguments, "registered_name": None},
        {"class_name": "function", "module": "os", "config": "system", "registered_name": "function"},
        {"class_name": "function", "module": "builtins", "config": "eval", "registered_name": "function"},
        {"class_name": "__lambda__", "config": {"value": "4wEAAAA="}, "module": "builtins"},
    ]


def spoilt(config: dict[str, Any], ran: pathlib.Path, short: bool) -> Iterator[dict[str, Any]]:
    """The configuration of a saved model with each part in the place of each setting of the layer; in short, one."""
    for place, key in enumerate(sorted(set(config["config"]["layer"]["config"]) - OF_KERAS)):
        for part in parts(ran)[place % 4 :][:1] if short else parts(ran):
            made = copy.deepcopy(config)
            made["config"]["layer"]["config"][key] = part
            yield made


def config_of(folder: pathlib.Path) -> dict[str, Any]:
    """Of the saved model."""
    with zipfile.ZipFile(folder / "m.keras") as archive:
        return json.loads(archive.read("config.json"))


def with_config(folder: pathlib.Path, config: dict[str, Any]) -> pathlib.Path:
    """The saved model with another configuration."""
    with zipfile.ZipFile(folder / "m.keras") as old, zipfile.ZipFile(folder / "spoilt.keras", "w") as new:
        for name in old.namelist():
            new.writestr(name, json.dumps(config) if name == "config.json" else old.read(name))
    return folder / "spoilt.keras"


def of_dense(folder: pathlib.Path, part: dict[str, Any]) -> pathlib.Path:
    """A model of Keras' own with that part."""
    import keras

    keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)]).save(str(folder / "m.keras"))
    config = config_of(folder)
    config["config"]["layers"][-1]["config"]["activation"] = part
    return with_config(folder, config)


main(__name__, __doc__)
