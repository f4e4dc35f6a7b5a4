"""Feature maps as saliency: where a layer of a model answers most, whatever the label."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._compat import register
from kmix_tf._images import image_of
from kmix_tf.backends.models import ask_model
from kmix_tf.saliency.inputs import as_taken, floating, inputs_of
from kmix_tf.saliency.source import SaliencySource


@register
class FeatureSaliency(SaliencySource):
    """Saliency of images to an attention model: how strongly a layer of it answers at each place.

    One pass through the model, without a gradient and without targets: its feature map, absolute values averaged over
    the channels, each place of the image getting those of the cell of the map that it lies in. The model is asked as
    in inference, so nothing in it changes, and its weights are saved with what uses this, in `.keras` files. In
    `tf.data` pipelines it runs on the CPU for each batch.

    Args:
        model: a built Keras model that takes what the mix's features are, in their structure: by name where they have
            names, or else in their order.
        layer: the name of a layer whose output is `(batch, *axes, channels)`; default None: the last one of more than
            one place. Of a subclassed model, whose layers are known only as they run, its own output is used: give
            none.
        axes: how many axes the image has: 2 (default), 1 for signals, 3 for volumes and videos.

    Call:
        `source(features, targets)`: of the first feature with so many axes, float32 `(batch, *axes)`, >= 0. Targets
        do not count, and may be None.

    Raises:
        TypeError: for something else than a Keras model.
        ValueError: for other numbers; for a layer that there is not, that the model uses several times or that has no
            such output, and a model without any; on a call, for other numbers, sizes or names of features than the
            model has inputs.

    Source: Walawalkar et al. 2020, *Attentive CutMix*, whose attention is the last feature map of a pretrained
    ResNet-50. The mean over channels is openmixup's; the authors' code takes one channel.

    Example:
        >>> layers = [keras.layers.Input((8, 8, 1)), keras.layers.Conv2D(4, 3, 2, "same"), keras.layers.Flatten()]
        >>> source = FeatureSaliency(keras.Sequential([*layers, keras.layers.Dense(3)]))
        >>> source([tf.ones([5, 8, 8, 1])], None).shape
        TensorShape([5, 8, 8])
        >>> x, y = AttentiveMixLayer(grid=4, saliency=source)(tf.random.uniform([5, 8, 8, 1]), tf.eye(5))
    """

    takes_names = True

    @_checks.speaks
    def __init__(self, model: keras.Model, layer: str | None = None, *, axes: int = 2):
        if not isinstance(model, keras.Model):
            _checks.refuse("model", "a Keras model", model, TypeError)
        self.model, self.layer, self.axes = model, layer, _checks.axes(axes)
        self._maps = _model_of_maps(model, layer, self.axes)

    @_checks.speaks
    def __call__(self, features: Sequence[tf.Tensor], targets: Any = None) -> tf.Tensor:
        paths = getattr(features, "paths", None)
        features = [floating(tf.convert_to_tensor(leaf)) for leaf in features]
        taken, image = as_taken(self.model, features, paths), image_of(features, self.axes)
        maps = ask_model(self._maps, taken, "saliency")
        if not tf.is_tensor(maps) or maps.shape.rank != self.axes + 2:
            raise _checks.problem(
                f"{_wanted('model', self.axes)}. Received: model {self.model.name!r}, {_told(maps)}."
            )
        values = tf.reduce_mean(tf.abs(tf.cast(maps, tf.float32)), axis=-1)
        return _at_places(values, tf.shape(image)[1 : 1 + self.axes], self.axes)


def _at_places(values: tf.Tensor, sizes: tf.Tensor, axes: int) -> tf.Tensor:
    """Gives each place the value of the cell it lies in: `(batch, *cells)` -> `(batch, *sizes)`."""
    for axis in range(1, 1 + axes):
        size = sizes[axis - 1]
        values = tf.gather(values, tf.range(size) * tf.shape(values)[axis] // size, axis=axis)
    return values


def _model_of_maps(model: keras.Model, layer: str | None, axes: int) -> keras.Model:
    """What computes a layer's output, with the model's own layers."""
    if not _has_graph(model):
        if layer is not None:
            rule = "None for a subclassed model, whose layers are known only as they run; or make it functional"
            _checks.refuse("layer", rule, layer)
        return model
    outputs = _outputs_of_layers(model)
    name = _last_with_maps(model, outputs, axes) if layer is None else layer
    if not isinstance(name, str) or name not in outputs:
        _checks.refuse("layer", f"the name of a layer, of {', '.join(map(repr, outputs))}", name)
    if len(outputs[name]) > 1:
        raise _checks.problem(
            f"layer must have one output. Received: layer={name!r}, with {len(outputs[name])} in {model.name!r}."
        )
    (tensor,) = outputs[name]
    if len(tensor.shape) != axes + 2:
        raise _checks.problem(f"{_wanted('layer', axes)}. Received: layer={name!r}, {_told(tensor)}.")
    return keras.Model(inputs_of(model), tensor, name=f"{model.name}_to_{name}")


def _last_with_maps(model: keras.Model, outputs: dict[str, list[Any]], axes: int) -> str:
    """The last layer whose output has spatial axes, of which one at least is longer than 1."""
    for name, tensors in reversed(outputs.items()):
        shape = tuple(tensors[0].shape)
        if len(tensors) == 1 and len(shape) == axes + 2 and any(size != 1 for size in shape[1:-1]):
            return name
    shapes = ", ".join(f"{name!r} {tuple(tensors[0].shape)}" for name, tensors in outputs.items())
    raise _checks.problem(
        f"model must have a layer whose output is (batch, {'places, ' * axes}channels). "
        f"Received: model {model.name!r} with {shapes}."
    )


def _outputs_of_layers(model: keras.Model) -> dict[str, list[Any]]:
    """By name what each layer computes in this model, inputs left out; models within it are layers."""
    # Models come after saliency, which is loaded before them.
    from kmix_tf.models.manifold.bottleneck import graph_of

    graph = graph_of(model)
    return {
        layer.name: [graph.tensors[key] for keys in graph.produced[id(layer)].values() for key in keys]
        for layer in model.layers
        if id(layer) in graph.produced and not isinstance(layer, keras.layers.InputLayer)
    }


def _has_graph(model: keras.Model) -> bool:
    """Whether a model is functional or sequential; one with a `call` of its own computes what no graph says."""
    defined = next(base for base in type(model).__mro__ if "call" in vars(base))
    return defined.__module__.startswith("keras.") and bool(getattr(model, "outputs", None))


def _wanted(what: str, axes: int) -> str:
    return f"{what} must have an output (batch, {'places, ' * axes}channels), with axes={axes}"


def _told(answer: Any) -> str:
    shape = getattr(answer, "shape", None)
    return f"which gives {type(answer).__name__}" if shape is None else f"whose output is {tuple(shape)}"
