"""Asks an environment into which the wheel was installed. Its own Python runs this, in a folder of its own:

python -I inside.py            # without extras: all public modules; what is missing is named; a model is saved
python -I inside.py plot cli   # what these extras bring can be imported; some does its work
"""

import importlib
import importlib.metadata
import importlib.util
import os
import pathlib
import pkgutil
import re
import subprocess
import sys
from collections.abc import Callable

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

# What no module may want before it is used.
NOT_HERE = ("click", "jinja2", "matplotlib", "onnx", "openvino", "pyarrow", "pytest", "sklearn", "torch", "tqdm")
# These are programs without a module, or none that is for others.
NO_MODULE = ("ruff",)
# These extras may bring other versions of what the package itself needs.
CHANGING = {"addons", "examples", "experiments", "serving"}


def public_modules() -> list[str]:
    """All modules, but for private ones, and what is below the command or runs it, which its extra is for."""
    import kmix_tf

    names = [each.name for each in pkgutil.walk_packages(kmix_tf.__path__, "kmix_tf.")]
    return [name for name in names if not name.startswith("kmix_tf.cli.") and "._" not in name]


def without_extras() -> None:
    """Every public module can be imported, and what needs an extra names it when it is used."""
    for name in NOT_HERE:
        assert importlib.util.find_spec(name) is None, f"{name} is here, so this environment shows nothing"
    modules = public_modules()
    assert {"kmix_tf.layers", "kmix_tf.plot", "kmix_tf.analysis.risk", "kmix_tf.cli"} <= set(modules)
    for name in modules:
        importlib.import_module(name)
    print(f"{len(modules)} modules imported")
    _names_its_extra("plot", lambda: importlib.import_module("kmix_tf.plot").plot_ratio_density(1.0))
    _names_its_extra("serving", _export)
    _command_names_its_extra("cli", [sys.executable, "-I", "-m", "kmix_tf", "demo"])


def _export() -> None:
    _, rescaled = _trained()
    try:
        rescaled.export("model.onnx", format="onnx")
    except ValueError as error:
        # Keras 2 writes no other format, and says so.
        assert "tf2onnx" in str(error), error
        raise ImportError("kmix_tf[serving]") from error


def _names_its_extra(extra: str, use: Callable[[], object]) -> None:
    try:
        use()
    except ImportError as error:
        assert f"kmix_tf[{extra}]" in str(error), error
    else:
        raise AssertionError(f"the extra {extra} is not needed")


def _command_names_its_extra(extra: str, command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and f"kmix_tf[{extra}]" in done.stderr, (done.returncode, done.stderr)


def _trained() -> tuple:
    """Inputs, and a model that was trained on mixtures of them."""
    import keras
    import numpy as np
    import tensorflow as tf

    import kmix_tf

    x, y = np.random.default_rng(0).normal(size=(8, 3)).astype("float32"), np.arange(8) % 2
    data = tf.data.Dataset.from_tensor_slices((x, y)).batch(8)
    mixed = data.apply(kmix_tf.mix(kmix_tf.KMixupLayer(4, num_classes=2), seed=0))
    features = next(iter(mixed))[0].numpy()
    assert features.shape == x.shape and not np.array_equal(features, x)
    model = keras.Sequential([keras.Input([3]), keras.layers.Dense(2)])
    model.compile("sgd", keras.losses.CategoricalCrossentropy(from_logits=True))
    model.fit(mixed, verbose=0)
    rescaled = kmix_tf.RescaledModel(model, alpha=1.0)
    rescaled.adapt(x, y)
    return x, rescaled


def smoke() -> None:
    """A batch is mixed, a model is trained on it and saved, and what is loaded predicts the same."""
    import numpy as np
    import tensorflow as tf

    x, rescaled = _trained()
    rescaled.export("served")
    loaded = tf.saved_model.load("served")
    np.testing.assert_allclose(loaded.serve(x), rescaled(x), rtol=1e-5)
    print("mixed, trained, saved and loaded")


def of_extra(extra: str) -> None:
    """What an extra asks for can be imported, and what the package does with it is done."""
    modules = importlib.metadata.packages_distributions()
    for name in _brought_by(extra):
        tops = [top for top, names in modules.items() if name in map(_normal, names) and top.isidentifier()]
        tops = [top for top in tops if not top.startswith("_") and name not in NO_MODULE]
        # TensorFlow 2.15 lists a folder that is not installed.
        tops = [top for top in tops if importlib.util.find_spec(top)]
        assert tops or name in NO_MODULE, f"{name} has no module"
        for top in tops:
            importlib.import_module(top)
        print(f"[{extra}] {name}: {', '.join(tops) or 'no module'}")
    if extra in DONE:
        DONE[extra]()


def _brought_by(extra: str) -> list[str]:
    lines = importlib.metadata.requires("kmix_tf") or []
    asked = [line for line in lines if re.search(rf"extra == .{extra}\b", line)]
    assert asked, f"there is no extra {extra}"
    return [_normal(re.match(r"[\w.-]+", line)[0]) for line in asked]


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _draw() -> None:
    from kmix_tf import plot

    plot.plot_ratio_density(1.0).figure.savefig("drawn.png")


def _show() -> None:
    command = pathlib.Path(sys.executable).with_name("kmix-tf")
    subprocess.run([command, "gallery", "--help"], check=True, stdout=subprocess.DEVNULL)
    pathlib.Path("table.parquet").touch()
    if importlib.util.find_spec("pyarrow") is None:
        _command_names_its_extra("tables", [str(command), "audit", "table.parquet"])


def _read() -> None:
    import pyarrow.parquet

    pyarrow.parquet.write_table(pyarrow.table({"x": [0.5] * 8, "y": [0, 1] * 4}), "table.parquet")


DONE = {"plot": _draw, "cli": _show, "tables": _read}


def main(extras: list[str]) -> None:
    import kmix_tf

    assert "site-packages" in kmix_tf.__file__, f"this is not the wheel: {kmix_tf.__file__}"
    if not extras:
        without_extras()
    if not extras or CHANGING & set(extras):
        smoke()
    for extra in extras:
        of_extra(extra)


if __name__ == "__main__":
    main(sys.argv[1:])
