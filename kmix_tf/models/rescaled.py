"""Rescaled prediction: what a model trained with mixup should be asked, and how its answer should be read."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._compat import register, require_tensorflow_backend, write_archive
from kmix_tf._moments import StreamingMoments
from kmix_tf.analysis.theta import theta_moments
from kmix_tf.batch.leaves import at_least_float32
from kmix_tf.models.outputs import OUTPUTS, stretch, targets_like_outputs
from kmix_tf.models.signature import FeatureSignature


@register
class RescaledModel(keras.Model):
    """Wraps a model trained with mixup, so that it predicts for data as they are rather than as mixup made them.

    Mixup trains on inputs shrunk towards their mean, and towards targets shrunk to theirs. The wrapper shrinks each
    input alike and stretches the answer back: y_mean (1 - 1/theta) + f(theta x + (1 - theta) x_mean) / theta, where
    theta is the mean of theta_moments(alpha). With balanced classes this sharpens the confidences of a model that
    mixup has made too modest. The paper finds that it helps on data like the training data, more so as alpha grows;
    it can hurt on corrupted data, and it hurts a model trained without mixup. Under k-mixup, inputs shrink to local
    means, of which the overall mean is an approximation.

    Args:
        model: a Keras model with one output, trained with mixup. It stays usable by itself and shares its weights.
        alpha: the alpha it was trained with, finite and >= 0. 0 changes nothing.
        output: what the model returns.
            "logits" (default): for a softmax over the last axis; for a single unit, the logit of class 1, which is
            treated as the difference of two classes' logits.
            "probabilities": after a softmax or sigmoid. The stretched vector may leave the simplex and is projected
            back to the nearest probabilities.
            "regression": anything else.

    Call:
        `model(x)`, x as the wrapped model takes it; returns float32 (or float64) of the wrapped model's output shape,
        of the same kind as `output` says. `predict`, `evaluate` and saving as `.keras` work as for any model.

    Raises:
        TypeError, ValueError: for other arguments; on a call, `export` or save before `adapt`.

    Source: On Mixup Regularization, eq. (22) and Algorithm 1.

    Example:
        >>> model = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(2)])
        >>> rescaled = RescaledModel(model, alpha=1.0)
        >>> rescaled.adapt(tf.data.Dataset.from_tensor_slices((tf.random.uniform([8, 3]), [0, 1] * 4)).batch(4))
        >>> rescaled(tf.ones([5, 3])).shape
        TensorShape([5, 2])
    """

    def __init__(self, model: keras.Model, alpha: float, output: str = "logits", **kwargs: Any):
        super().__init__(**kwargs)
        require_tensorflow_backend("RescaledModel")
        if not isinstance(model, keras.layers.Layer):
            _checks.refuse("RescaledModel", "model", "a Keras model", model, TypeError)
        self.model = model
        self.alpha = _checks.number("RescaledModel", "alpha", alpha)
        self.output_kind = _checks.choice("RescaledModel", "output", output, OUTPUTS)
        self.theta_bar = theta_moments(self.alpha).mean
        self._signature = None

    def adapt(self, data: Any, y: Any = None, batch_size: int = 256) -> None:
        """Learns the means of features and targets of the training data, unmixed, in one pass.

        Args:
            data: a dataset of batches `(x, y)` or `(x, y, sample_weight)`, finite; or x, with y beside it. Sample
                weights `(batch,)` weigh the means. Integer y are classes, except where `output="regression"`.
            y: targets, when data is an array of features.
            batch_size: for arrays.

        Raises:
            ValueError: if there are no samples or targets, values are NaN or infinite, labels are outside the model's
                classes, or targets do not fit the model's output.
        """
        if y is not None:
            data = tf.data.Dataset.from_tensor_slices((data, y)).batch(batch_size)
        spec = getattr(data, "element_spec", None)
        if not isinstance(spec, tuple) or len(spec) not in (2, 3):
            raise ValueError(
                "RescaledModel: adapt needs a dataset of batches (x, y) or (x, y, sample_weight), or x and y. "
                f"Received: {type(data).__name__} with elements {spec}."
            )
        features = [StreamingMoments() for _ in tf.nest.flatten(spec[0])]
        targets = StreamingMoments()
        output_shape = None
        for x, y, *weights in data.as_numpy_iterator():
            if output_shape is None:
                output_shape = self._output_shape(x)
            for mean, leaf in zip(features, tf.nest.flatten(x), strict=True):
                mean.update(leaf, *weights)
            targets.update(targets_like_outputs("RescaledModel", y, output_shape, self.output_kind), *weights)
        self._set_means(FeatureSignature.of(spec[0]), features, targets)

    def call(self, x: Any, training: bool | None = None) -> tf.Tensor:
        self._require_adapted()
        theta = self.theta_bar
        shrunk = [
            theta * leaf + (1 - theta) * tf.cast(mean, leaf.dtype)
            for leaf, mean in zip(map(_as_float, tf.nest.flatten(x)), self.feature_means, strict=True)
        ]
        answer = self.model(tf.nest.pack_sequence_as(x, shrunk), training=training)
        return stretch(at_least_float32(answer), self.target_mean, theta, self.output_kind)

    def export(self, path: str, **kwargs: Any) -> None:
        """Writes a SavedModel that serves the rescaled predictions where only TensorFlow is installed.

        Args:
            path: a folder, made or overwritten. The endpoint `serve` and the signature `serving_default` take
                batches of any size, in the dtype and structure of the features given to `adapt`; inputs are named
                `x`, or `x_0`, `x_1`, ..., or after the keys of a dictionary.

        Raises:
            ValueError: before `adapt`.

        Example:
            >>> import tempfile
            >>> model = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(2)])
            >>> rescaled = RescaledModel(model, alpha=1.0)
            >>> rescaled.adapt(tf.random.uniform([4, 3]), [0, 1, 0, 1])
            >>> rescaled.export(tempfile.mkdtemp())
        """
        self._require_adapted()
        write_archive(self, path, self._signature.tensor_specs(), **kwargs)

    def _set_means(
        self, signature: FeatureSignature, features: list[StreamingMoments], targets: StreamingMoments
    ) -> None:
        means = [*features, targets]
        if targets.mean is None:
            raise ValueError("RescaledModel: adapt needs at least one sample. Received: an empty dataset.")
        if not all(np.isfinite(mean.mean).all() for mean in means):
            raise ValueError("RescaledModel: adapt needs finite features and targets. Received: NaN or infinity.")
        if self._signature is None:
            self._make_means(signature, [mean.mean.shape for mean in features], targets.mean.shape)
        for weight, mean in zip([*self.feature_means, self.target_mean], means, strict=True):
            weight.assign(mean.mean)

    def _make_means(self, signature: FeatureSignature, feature_shapes: list[Any], target_shape: Any) -> None:
        self._signature = signature
        self.feature_means = [
            self.add_weight(name=f"feature_mean_{i}", shape=tuple(shape), initializer="zeros", trainable=False)
            for i, shape in enumerate(feature_shapes)
        ]
        self.target_mean = self.add_weight(
            name="target_mean", shape=tuple(target_shape), initializer="zeros", trainable=False
        )
        self.built = True

    def _output_shape(self, x: Any) -> tuple[int, ...]:
        answer = self.model(tf.nest.map_structure(tf.convert_to_tensor, x), training=False)
        if not tf.is_tensor(answer):
            raise ValueError(
                f"RescaledModel: the model must have one output. Received: an output of {type(answer).__name__}."
            )
        return tuple(answer.shape[1:])

    def _require_adapted(self) -> None:
        if self._signature is None:
            raise ValueError(
                "RescaledModel: adapt(dataset) must come first, to learn the means of the training data. "
                "Received: a model without means."
            )

    def build(self, input_shape: Any = None) -> None:
        self._require_adapted()

    def get_build_config(self) -> dict[str, Any]:
        self._require_adapted()
        return {
            "signature": self._signature.get_config(),
            "feature_shapes": [list(mean.shape) for mean in self.feature_means],
            "target_shape": list(self.target_mean.shape),
        }

    def build_from_config(self, config: dict[str, Any]) -> None:
        if self._signature is None:
            signature = FeatureSignature(config["signature"])
            self._make_means(signature, config["feature_shapes"], config["target_shape"])

    def get_config(self) -> dict[str, Any]:
        model = keras.saving.serialize_keras_object(self.model)
        return {"name": self.name, "model": model, "alpha": self.alpha, "output": self.output_kind}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "RescaledModel":
        model = keras.saving.deserialize_keras_object(config["model"], custom_objects=custom_objects)
        return cls(**{**config, "model": model})


def _as_float(leaf: Any) -> tf.Tensor:
    leaf = tf.convert_to_tensor(leaf)
    return leaf if leaf.dtype.is_floating else tf.cast(leaf, tf.float32)
