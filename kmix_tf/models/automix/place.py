"""The place in a model whose feature maps a mix block is given."""

from typing import Any

import keras
import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._images import image_of
from kmix_tf.models.automix.blend import require_images
from kmix_tf.models.lookups import input_specs
from kmix_tf.models.manifold.split import require_functional, single_outputs


class MapsOf:
    """What computes the feature maps of a layer; not tracked by Keras, for it shares the model's layers.

    Args:
        model: functional or sequential, built. at: the name of one of its layers.

    Raises:
        TypeError, ValueError: for another model, an unknown layer, or one whose output is no feature map of the
            model's images, naming those that would do.
    """

    def __init__(self, model: keras.Model, at: str):
        require_functional(model, "mix without a block, by MixModel")
        tensor = _map_at(model, at)
        specs = tf.nest.flatten(input_specs(model))
        require_images(image_of(specs, len(tensor.shape) - 2).shape, tf.TensorShape(tensor.shape))
        self.channels = int(tensor.shape[-1])
        inputs = model.inputs[0] if isinstance(model, keras.Sequential) else model.input
        self._model = keras.Model(inputs, tensor, name=f"{model.name}_to_{at}")

    def __call__(self, x: Any) -> tf.Tensor:
        """The maps of a batch, as in inference, through which no gradient goes."""
        return tf.stop_gradient(self._model(x, training=False))


def _map_at(model: keras.Model, at: Any) -> Any:
    """The output of a layer that gives feature maps."""
    outputs = single_outputs(model)
    able = [name for name, tensor in outputs.items() if _is_map(tensor)]
    if isinstance(at, str) and at in able:
        return outputs[at]
    if at in outputs:
        received = f"whose output is {tf.as_dtype(outputs[at].dtype).name} of shape {tuple(outputs[at].shape)}"
    elif at in [layer.name for layer in model.layers]:
        received = "which has several outputs, or is used several times, or leads to no output"
    else:
        received = f"of which model {model.name!r} has none"
    remedy = f"These do: {', '.join(map(repr, able))}." if able else "No layer of this model does."
    raise _checks.problem(
        f"at must name a layer whose output is one feature map, float (batch, *places, channels). Received: "
        f"at={at!r}, {received}. {remedy}"
    )


def _is_map(tensor: Any) -> bool:
    has_places = 3 <= len(tensor.shape) <= 5 and tensor.shape[-1] is not None
    return has_places and tf.as_dtype(tensor.dtype).is_floating
