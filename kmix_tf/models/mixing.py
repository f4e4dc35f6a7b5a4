"""Mixing in the training step, on the model's own device."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._compat import register, require_tensorflow_backend
from kmix_tf.layers import MixLayer
from kmix_tf.models.counting import StepCounter


@register
class MixModel(keras.Model):
    """Trains a model on mixtures that are made in the training step, on the model's device.

    On an accelerator this takes the mix off the host: give the layer `solver="graph"`, and the whole step can be
    compiled with `jit_compile=True`. `fit` takes batches as the layer takes them, unmixed; loss and metrics in its
    logs are those of the mixtures. `evaluate` and validation convert targets as the layer does (integer labels become
    one-hot) and mix nothing; `predict`, calls and `export` are the plain model's.

    Args:
        model: a built Keras model. It stays usable by itself and shares its weights.
        layer: any `MixLayer`, also with a schedule, which counts this model's steps.
        seed: an integer >= 0 for repeatable draws; default the layer's, or else random. Each step has a seed of its
            own that follows from it, from the number of steps trained, which is saved with the model, and from the
            replica: resumed training draws what would have come, and replicas draw differently.

    Call:
        `model(x, training=None)`, x as the wrapped model takes it, and returns.

    Raises:
        TypeError, ValueError: for other arguments, a model that is not built, or at `compile` for `jit_compile=True`
            with a layer that needs the host.

    Source: k-mixup, Section 2; multi-mix, Section III; Local Mixup, eq. (3), each as the layer says.

    Example:
        >>> model = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(2)])
        >>> mixing = MixModel(model, KMixupLayer(4, solver="graph", num_classes=2), seed=0)
        >>> mixing.compile("sgd", keras.losses.CategoricalCrossentropy(from_logits=True))
        >>> history = mixing.fit(tf.random.uniform([16, 3]), np.arange(16) % 2, verbose=0)
        >>> mixing.predict(tf.ones([5, 3]), verbose=0).shape
        (5, 2)
    """

    def __init__(self, model: keras.Model, layer: MixLayer, seed: int | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        owner = type(self).__name__
        require_tensorflow_backend(owner)
        self.model = require_built(owner, model)
        if not isinstance(layer, MixLayer):
            _checks.refuse(owner, "layer", "a MixLayer such as KMixupLayer(16, solver='graph')", layer, TypeError)
        self.layer = layer
        self._counter = StepCounter(self, layer.seed if seed is None else seed)
        self.built = True

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """As `keras.Model.compile`. Refuses `jit_compile=True` with a layer that calls back to the host."""
        if kwargs.get("jit_compile") is True:
            require_compilable(type(self).__name__, self.layer)
        super().compile(*args, **kwargs)

    def compile_from_config(self, config: dict[str, Any]) -> None:
        # Keras does not compile what it loads when `compile` is overridden, unless this is, too.
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.optimizer is not None:
            self.optimizer.build(self.trainable_variables)

    def call(self, x: Any, training: bool | None = None) -> Any:
        return self.model(x, training=training)

    def train_step(self, data: Any) -> dict[str, Any]:
        step, seed = self._counter.next()
        mixed = self.layer(*keras.utils.unpack_x_y_sample_weight(data), training=True, seed=seed, step=step)
        return super().train_step(mixed)

    def test_step(self, data: Any) -> dict[str, Any]:
        converted = self.layer(*keras.utils.unpack_x_y_sample_weight(data), training=False)
        return super().test_step(converted)

    def _symbolic_build(self, iterator: Any = None, data_batch: Any = None) -> None:
        # Under a distribution strategy, Keras 3 tries loss and metrics on a batch that no step has converted: on the
        # mean of what the replicas got, in which integers have become float64.
        if data_batch is not None:
            x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data_batch)
            if self.layer.num_classes is not None or self.layer.targets == "packed":
                y = tf.nest.map_structure(
                    lambda leaf: tf.cast(leaf, tf.int64) if leaf.dtype == tf.float64 else leaf, y
                )
            data_batch = self.layer(x, y, sample_weight, training=False)
        super()._symbolic_build(iterator=iterator, data_batch=data_batch)

    def export(self, *args: Any, **kwargs: Any) -> Any:
        """As `keras.Model.export`, of the plain model: nothing of the mix, or of this package, is in it."""
        return self.model.export(*args, **kwargs)

    def build(self, input_shape: Any = None) -> None:
        """Nothing to make: the wrapped model is built."""

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "model": keras.saving.serialize_keras_object(self.model),
            "layer": keras.saving.serialize_keras_object(self.layer),
            "seed": self._counter.seed,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "MixModel":
        parts = {
            name: keras.saving.deserialize_keras_object(config[name], custom_objects=custom_objects)
            for name in ("model", "layer")
        }
        return cls(**{**config, **parts})


def require_built(owner: str, model: Any) -> keras.Model:
    """The model, if it is a built Keras model.

    Raises:
        TypeError: for anything but a model. ValueError: if it has no weights yet.
    """
    if not isinstance(model, keras.Model):
        _checks.refuse(owner, "model", "a Keras model", model, TypeError)
    if not model.built:
        raise ValueError(
            f"{owner}: model must be built, so that its weights exist. Received: {model.name!r}, which is not. "
            "Begin it with keras.Input(shape), or call it once on a batch."
        )
    return model


def require_compilable(owner: str, layer: Callable) -> None:
    """Refuses a layer that calls back to the host, where XLA is to compile it.

    Raises:
        ValueError: naming the remedy.
    """
    if getattr(layer.pairing, "runs_on_host", False):
        raise ValueError(
            f"{owner}: jit_compile=True needs a mix that XLA can compile. Received: a layer with solver='host', "
            "whose matching calls back to the host. Give it solver='graph'."
        )
