"""What blends that ask for saliency have in common."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from kmix_tf import _checks
from kmix_tf.saliency.asking import ask


class SalientBlend:
    """A blend of images that asks what matters where.

    Args:
        axes: how many axes the image has.
        saliency: a saliency source, or None: of the model being trained in `MixModel`, `SpectralResidualSaliency`
            elsewhere. A Keras model is none: it takes no targets, and says nothing of places.
    """

    uses_saliency = True

    def __init__(self, axes: int, saliency: Callable | None):
        owner = type(self).__name__
        if isinstance(saliency, keras.Model):
            rule = "a callable (features, targets) -> (batch, *axes); of a model, GradientSaliency(model, loss)"
            _checks.refuse(owner, "saliency", rule, saliency, TypeError)
        self.axes = axes
        self.saliency = _checks.function(owner, "saliency", saliency)

    def saliency_of(self, features: Sequence[tf.Tensor], targets: Any = None) -> tf.Tensor:
        """What the source, or the default one, says of features: float32 `(batch, *axes)`, checked."""
        return ask(type(self).__name__, self.saliency, features, targets, self.axes)

    def get_config(self) -> dict[str, Any]:
        saliency = None if self.saliency is None else keras.saving.serialize_keras_object(self.saliency)
        return {"axes": self.axes, "saliency": saliency}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "SalientBlend":
        config = dict(config)
        if isinstance(config.get("saliency"), (dict, str)):
            config["saliency"] = keras.saving.deserialize_keras_object(config["saliency"])
        return cls(**config)
