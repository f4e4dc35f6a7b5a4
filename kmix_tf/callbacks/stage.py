"""The mixed stage that a callback looks at: a layer of a pipeline, or a model that mixes in its step."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from kmix_tf import _checks
from kmix_tf.layers import Stage
from kmix_tf.layers.stage import require_nothing_carried
from kmix_tf.models.first_pass import first_pass
from kmix_tf.models.manifold.model import ManifoldMixModel
from kmix_tf.models.manifold.step import MixingStep
from kmix_tf.models.mixing import MixModel
from kmix_tf.models.salient import in_turn, salient_axes
from kmix_tf.models.wrapper import MixingWrapper

# Mixes a batch (x, y, sample_weight), given it, a seed and the number of steps before.
Mix = Callable[[tuple[Any, Any, Any], tf.Tensor, Any], Any]

_INSTEAD = (
    "Give the layer that the data are mixed by, and data that are not mixed: MixtureImages(log_dir, layer, dataset); "
    "or train a MixModel or ManifoldMixModel, which mixes in its step."
)


def stages_of(layer: Any, model: Any) -> dict[str, Mix]:
    """The mixes at each place, by its name, which is empty where there is but one.

    Raises:
        ValueError: where nothing mixes.
    """
    if layer is not None:
        return {"": _of_layer(layer)}
    if isinstance(model, MixModel):
        require_nothing_carried("the model's layer", model.layer)
        return {"": _of_mix_model(model)}
    if isinstance(model, ManifoldMixModel):
        names = model.mix_layers
        return {name if len(names) > 1 else "": _of_place(model, name) for name in names}
    raise _checks.problem(
        f"layer must be given where the model mixes nothing itself. Received: layer=None and a model of class "
        f"{type(model).__name__}. {_INSTEAD}"
    )


def require_stage(layer: Any) -> Any:
    """None, or a layer that mixes batches.

    Raises:
        TypeError: for anything else.
    """
    if layer is not None and not isinstance(layer, Stage):
        _checks.refuse("layer", "None or a MixLayer such as KMixupLayer(16)", layer, TypeError)
    if layer is not None:
        require_nothing_carried("layer", layer)
    return layer


def _of_layer(layer: Any) -> Mix:
    return lambda batch, seed, step: layer.mixed(*batch, training=True, seed=seed, step=step)


def _of_mix_model(model: MixModel) -> Mix:
    axes = salient_axes(model.layer)
    if axes is None:
        return model.mix

    def mix(batch: tuple[Any, Any, Any], seed: tf.Tensor, step: Any) -> Any:
        def asked() -> tf.Tensor:
            # As in inference, which leaves no trace in the model.
            sizes, shrink, added = model.smoothing, model.saliency_shrink, not model.loss
            told = first_pass(
                model, axes, batch, with_weights=False, with_added=added, smoothing=sizes, shrink=shrink
            )
            return told.saliency

        every, layer = model.saliency_every, model.layer
        saliency = asked() if every == 1 else in_turn(tf.convert_to_tensor(step), every, asked, layer, axes, batch)
        return layer.mixed(*batch, training=True, seed=seed, step=step, saliency=saliency)

    return mix


def _of_place(model: ManifoldMixModel, name: str) -> Mix:
    """The mix of what a model, asked as in inference, has made of a batch by then."""

    def mix(batch: tuple[Any, Any, Any], seed: tf.Tensor, step: Any) -> Any:
        x, y, sample_weight = batch
        mask = None
        for part in model._parts.value:
            x, mask = part.run(x, mask, training=False)
            if part.end == name:
                break
        told = {"training": True, "seed": seed, "step": step}
        passing = MixingStep([model._mix_at(name)], None, y, sample_weight, told)
        x, _ = passing.at(0, x, mask)
        return x, passing.y, passing.sample_weight

    return mix


def as_compiled(model: Any, stage: Mix) -> Mix:
    """A stage run as the model runs its steps: eagerly, as a graph, or by XLA."""
    if model.run_eagerly:
        return stage
    return tf.function(stage, jit_compile=bool(model.jit_compile) or None, autograph=False)


def steps_trained(model: Any) -> int:
    """How many steps a model was trained, for schedules; counted by what is saved with it."""
    if isinstance(model, MixingWrapper):
        return int(tf.convert_to_tensor(model._counter.steps))
    optimizer = getattr(model, "optimizer", None)
    if optimizer is None:
        return 0
    # Under a strategy a variable is several; of other back ends it is no variable of TensorFlow's.
    is_own = keras.backend.backend() == "tensorflow"
    return int(tf.convert_to_tensor(optimizer.iterations) if is_own else optimizer.iterations.numpy())
