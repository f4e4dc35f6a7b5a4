"""Rescaled predictions in files that serve: SavedModels, and whatever else the installed Keras writes."""

import functools
from typing import Any

import keras
import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._compat import IS_KERAS_3, write_archive
from kmix_tf._paths import leaf_paths
from kmix_tf._writing import replacing
from kmix_tf.models.backends import input_specs_for_export, require_saved_models
from kmix_tf.models.exporting import SAVED_MODEL, checked_path, export
from kmix_tf.models.rescaled.signature import FeatureSignature


class Exports:
    """The part of `RescaledModel` that writes: `export`."""

    _outputs: FeatureSignature
    _require_adapted: Any

    @_checks.speaks
    def export(
        self,
        filepath: Any = None,
        format: str = SAVED_MODEL,
        verbose: bool | None = None,
        input_signature: Any = None,
        path: Any = None,
        **options: Any,
    ) -> None:
        """Writes the rescaled predictions, by default as a SavedModel, which serves with TensorFlow alone.

        It is written beside `filepath` and renamed, so that an export which fails leaves what was there as it was.

        Args:
            filepath: a folder, or for other formats a file, made or overwritten; other files of the folder stay. The
                endpoint `serve` and the signature `serving_default` take batches of any size, in the dtype and
                structure of the features given to `adapt`; inputs are named `x`, or `x_0`, `x_1`, ..., or after the
                keys of a dictionary. The signature's outputs, float32 (or float64), are named `output_0`, `output_1`,
                ..., or after the keys of a dictionary. Keys and positions of deeper structures are joined by "_";
                outputs are then served flat, in a dictionary.
            format: "tf_saved_model" (default); with Keras 3 also "litert" (to a name ending in .tflite), "onnx" and
                "openvino" (ending in .xml), whose packages `pip install 'kmix_tf[serving]'` brings. Inputs and
                outputs have the same names in all of them. OpenVINO computes in bfloat16 where the processor can,
                unless it is told `{"INFERENCE_PRECISION_HINT": "f32"}`.
            verbose: whether Keras prints what it has written; default no for a SavedModel.
            input_signature: for other than batches of any size, a list of one `tf.TensorSpec`, or of a structure of
                them like the features.
            options: of the format, as `keras.Model.export` has them; of a SavedModel, `options`, which is a
                `tf.saved_model.SaveOptions`; of "litert", attributes of a `tf.lite.TFLiteConverter`.
            path: another name of filepath.

        A SavedModel is what other converters take, with Keras 2, too. To 8 bits, for instance, with some 100 samples
        x (in a small convolutional network, answers were then off by up to 4 % of their range; in float16, which is
        `target_spec.supported_types = [tf.float16]` after `optimizations`, by less than 0.2 %):

            converter = tf.lite.TFLiteConverter.from_saved_model(path)
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.representative_dataset = lambda: ({"x": x[i : i + 1]} for i in range(100))
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
            converter.inference_input_type = converter.inference_output_type = tf.int8
            content = converter.convert()

        Raises:
            ValueError: before `adapt`. TypeError, ValueError, ImportError: for what Keras cannot export, naming the
                formats that there are, or the packages that are missing; for a model of which the file would be one
                that nothing can load. OSError: naming the path, if it cannot be written.

        Warns:
            UserWarning: if a LiteRT file needs operations of TensorFlow, as those of float16 and masks do.

        Example:
            >>> import tempfile
            >>> model = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(2)])
            >>> rescaled = RescaledModel(model, alpha=1.0)
            >>> rescaled.adapt(tf.random.uniform([4, 3]), [0, 1, 0, 1])
            >>> rescaled.export(tempfile.mkdtemp())
        """
        specs = self._require_adapted().tensor_specs()
        signature = [specs] if input_signature is None else input_signature
        paths = [each for each, _ in leaf_paths(self._outputs.structure)]
        # In these formats, an output without a name gets that of an operation.
        is_flat = format not in ("onnx", "openvino") and all(len(each) < 2 for each in paths)
        names = ["output_0"] if paths == [()] else self._outputs.names("output")
        served = self if is_flat else _Flat(self, names)
        filepath = checked_path(filepath, path)
        if format == SAVED_MODEL:
            require_saved_models()
            if set(options) - {"options"}:
                _checks.refuse("options", "options=tf.saved_model.SaveOptions(...) alone, of a SavedModel", options)
            with replacing(filepath, is_quiet=not verbose) as place:
                write_archive(served, place, signature, bool(verbose), options)
        else:
            write = functools.partial(keras.Model.export, served)
            signature = input_specs_for_export(signature) if IS_KERAS_3 else None
            export(write, filepath, format, verbose, signature, options)


class _Flat(keras.layers.Layer):
    """A model with its outputs in one flat dictionary, which is what a SavedModel's signature can have."""

    def __init__(self, model: Any, names: list[str]):
        super().__init__(autocast=False, name="flat")
        self.model = model
        self._output_names = names
        self.built = True

    def call(self, x: Any, training: bool | None = None) -> dict[str, tf.Tensor]:
        return dict(zip(self._output_names, tf.nest.flatten(self.model(x, training=training)), strict=True))
