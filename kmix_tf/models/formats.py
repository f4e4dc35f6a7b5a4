"""The formats of exports: which there are with the installed Keras, what each needs, and whether a file is whole."""

import importlib
import importlib.util
import os
import re
import warnings
from typing import Any

import keras

from kmix_tf import _checks
from kmix_tf._compat import IS_KERAS_3, export_formats

SAVED_MODEL = "tf_saved_model"
ONNX = "onnx"

# What the names of files end in.
_ENDINGS = {"litert": ".tflite", "openvino": ".xml", "torch": ".pt2"}
# The back ends that write a format, where not all do.
_BACKENDS = {"torch": ("torch",), "litert": ("tensorflow", "torch")}
# The modules that write it, by format and back end.
_MODULES = {
    (ONNX, "tensorflow"): ("onnx", "tf2onnx"),
    (ONNX, "jax"): ("onnx", "jax2onnx"),
    (ONNX, "torch"): ("onnx", "onnxscript"),
    ("litert", "torch"): ("litert_torch",),
    **{("openvino", backend): ("openvino",) for backend in ("tensorflow", "jax", "torch")},
}
# The modules that the extra `serving` brings.
_IN_EXTRA = ("onnx", "tf2onnx", "openvino")


def require_format(format: Any, path: Any) -> None:
    """Refuses a format that Keras does not write here, before anything is written.

    Args:
        format: its name. path: to which it is to be written.

    Raises:
        ValueError: naming the formats that there are, or how the path must end. ImportError: naming the packages.
    """
    backend = keras.backend.backend()
    written = [name for name in export_formats() if backend in _BACKENDS.get(name, (backend,))]
    if format not in written:
        raise _checks.problem(
            f"format must be one of {', '.join(map(repr, written))}, which Keras {keras.__version__} writes on the "
            f"{backend} backend. Received: format={format!r}. {_instead(format, backend)}"
        )
    missing = [name for name in _MODULES.get((format, backend), ()) if importlib.util.find_spec(name) is None]
    if missing:
        told = "'kmix_tf[serving]'" if set(missing) <= set(_IN_EXTRA) else " ".join(missing).replace("_", "-")
        raise _checks.problem(
            f"format={format!r} needs {' and '.join(missing)}, not installed here. Run: pip install {told}",
            ImportError,
        )
    ending = _ENDINGS.get(format, "")
    if not os.fspath(path).endswith(ending):
        _checks.refuse("filepath", f"a name that ends in {ending} where format={format!r}", path)


def _instead(format: Any, backend: str) -> str:
    if not IS_KERAS_3:
        return "Leave it out, and convert the SavedModel by tf2onnx, openvino or tf.lite.TFLiteConverter."
    others = _BACKENDS.get(format, ())
    return f"It needs the backend {' or '.join(others)}." if others else "Set one of those."


def is_of_converter(error: Exception) -> bool:
    """Whether a converter says that it cannot do with a model."""
    names = ("OpConversionFailure", "ConverterError")  # OpenVINO's and LiteRT's, which may not be installed.
    return any(kind.__name__ in names for kind in type(error).__mro__)


def require_whole(format: Any, path: str) -> None:
    """Refuses a file that no runtime can load, which a converter may write without a word.

    Raises:
        ValueError: for an ONNX file that is not valid, such as one with operations that ONNX does not have.

    Warns:
        UserWarning: for a LiteRT file with operations of TensorFlow, which only some interpreters have.
    """
    if format == ONNX:
        _require_onnx(path)
    if format == "litert":
        with open(path, "rb") as file:
            found = sorted(set(re.findall(rb"Flex[A-Z]\w+", file.read())))
        if found:
            names = ", ".join(name.decode() for name in found)
            warnings.warn(
                f"{_checks.speaker()}: the file needs operations of TensorFlow, which an interpreter has only with "
                f"the Flex delegate: {names}. Models in float32 without masks do with LiteRT's own.",
                UserWarning,
                stacklevel=4,
            )


def _require_onnx(path: str) -> None:
    onnx = importlib.import_module("onnx")
    try:
        onnx.checker.check_model(path, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise _checks.problem(
            "the model has operations that are not in ONNX, and format='onnx' would make a file that nothing can "
            f"load. Received: {str(error).strip().splitlines()[0]} Leave what looks up strings out of the model, or "
            "export a SavedModel."
        ) from error
