"""RecursiveMix in the training step, with its consistency loss."""

import contextlib
import threading
from collections.abc import Iterator
from typing import Any, Unpack

import keras
import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._compat import register
from kmix_tf._images import image_of
from kmix_tf.batch.leaf import FEATURES
from kmix_tf.layers import RecursiveMixLayer
from kmix_tf.layers.options import KerasOptions
from kmix_tf.mixing.watch import watching
from kmix_tf.models.endings import LINEAR, SIGMOID, SOFTMAX, endings
from kmix_tf.models.manifold.split import parts_of
from kmix_tf.models.mixing import MixModel
from kmix_tf.models.recursive.memory import Left, Memory
from kmix_tf.models.recursive.region import channels_of, mean_in_window, place_of_features

HEADS = ("own", "shared")


class _Step:
    """One training step: where the batch before is seen in this one, and what it was predicted to be.

    predicted: float32 `(batch, classes)`, of the mixture seen in each row. share: float32 `(batch,)`, how much of
    each row that is; window: where, `(batch, axes, 2)`; sizes: of the image. features, logits: what the model then
    makes of the batch.
    """

    def __init__(self, predicted: tf.Tensor, share: tf.Tensor, window: tf.Tensor, sizes: list[Any]):
        self.predicted, self.share, self.window, self.sizes = predicted, share, window, sizes
        self.features: Any = None
        self.outputs: Any = None


class _Untracked:
    """Holds parts of a model, which are not Keras' to find: their layers are the model's."""

    def __init__(self, value: Any):
        self.value = value


@register
class RecursiveMixModel(MixModel):
    """Trains a model on RecursiveMix, made in the training step, and has it see again what it predicted before.

    The mixture of the step before, with its labels and predictions, is kept until the next step. It is pasted, made
    smaller, into the new batch, as by `RecursiveMixLayer` in a pipeline. Besides the loss on the mixtures, the model
    is to predict of the pasted part what it predicted of the whole before:

        loss + consistency_weight mean_i((1 - ratio_i) cross-entropy(before_i, head(mean of features in box_i)))

    `fit` takes unmixed batches; its first step is unmixed, and epochs go on from one another. `evaluate`, `predict`,
    calls and `export` are the plain model's. With Keras 3, the loss in the logs has the consistency loss in it, with
    Keras 2 it has not.

    Example:
        >>> model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Conv2D(4, 3), keras.layers.Flatten(),
        ...                           keras.layers.Dense(3)])
        >>> mixing = RecursiveMixModel(model, RecursiveMixLayer(num_classes=3), seed=0)
        >>> mixing.compile("sgd", keras.losses.CategoricalCrossentropy(from_logits=True))
        >>> history = mixing.fit(tf.random.uniform([16, 8, 8, 1]), np.arange(16) % 3, batch_size=4, verbose=0)
        >>> mixing.predict(tf.ones([5, 8, 8, 1]), verbose=0).shape
        (5, 3)

    Args:
        model: a built Keras model with one output `(batch, classes)`; unless `consistency_weight` is 0, a functional
            or sequential one. It stays usable by itself and shares its weights.
        layer: a `RecursiveMixLayer`.
        consistency_weight: finite and >= 0, default 0.5 (the published code's; 0.1 for CIFAR). 0 leaves it out.
        features: the name of the layer whose output `(batch, *places, channels)` is looked at, through which all ways
            of the model go; default the last that has the image's axes.
        head: what predicts from the mean of the features in the box: "own" (default, as in the published code), a
            linear layer for this alone, in `consistency_head`; or "shared", what of the model comes after `features`,
            which is given the mean at every place (layers there that
            count batches, as BatchNormalization does, then see two a step).
        from_logits: whether the model's outputs are logits, default True; False for probabilities. What the model's
            end contradicts is refused, unless `consistency_weight` is 0.
        seed: as in `MixModel`.

    Call:
        `model(x, training=None)`, x as the wrapped model takes it, and returns.

    What is kept is not saved, and no gradient goes through it: training that is resumed begins with an unmixed step.
    Rows of which weights of samples are 0 do not count in the consistency loss, and others by their weight, where
    there is one weight for each sample. The step has no fixed sizes, so XLA does not compile it; and each replica of
    a strategy would keep its own, so there may be one alone.

    Raises:
        TypeError, ValueError: for other arguments, a model that cannot be taken apart at `features`, or of several
            outputs; at `compile` for `jit_compile=True`; in training within a strategy of several replicas.

    Source: Yang et al. 2022, *RecursiveMix: Mixed Learning with History*, and its published code, which forgets what
    it kept with each epoch, and samples the features in the box (RoIAlign) where their mean is taken here.
    """

    hands_on = True

    @_checks.speaks
    def __init__(
        self,
        model: keras.Model,
        layer: RecursiveMixLayer,
        consistency_weight: float = 0.5,
        features: str | None = None,
        head: str = "own",
        from_logits: bool = True,
        seed: int | None = None,
        **kwargs: Unpack[KerasOptions],
    ):
        if not isinstance(layer, RecursiveMixLayer):
            _checks.refuse("layer", "a RecursiveMixLayer", layer, TypeError)
        super().__init__(model, layer, seed, **kwargs)
        self.consistency_weight = _checks.number("consistency_weight", consistency_weight)
        self.head = _checks.choice("head", head, HEADS)
        self.from_logits = _checks.flag("from_logits", from_logits)
        classes = _classes_of(model)
        self.features, self.consistency_head, parts = features, None, []
        if self.consistency_weight:
            _require_outputs(model, self.from_logits)
            name = place_of_features(model, layer.axes, features)
            parts = parts_of(model, [name])
            if self.head == "own":
                self.consistency_head = keras.layers.Dense(classes, name="consistency_head", dtype="float32")
                self.consistency_head.build((None, channels_of(model, name)))
        self._parts = _Untracked(parts)
        self._left = _Untracked(Memory(classes))
        self._current = threading.local()
        self.supports_jit = False

    @property
    def trainable_weights(self) -> list[Any]:
        """The wrapped model's, and those of a consistency head of its own."""
        own = getattr(self, "consistency_head", None)
        return [*super().trainable_weights, *(own.trainable_weights if own is not None and self.trainable else [])]

    @_checks.speaks
    def compile(self, *args: Any, **kwargs: Any) -> None:
        """As `MixModel.compile`, without XLA.

        Raises:
            ValueError: for `jit_compile=True`.
        """
        if kwargs.get("jit_compile") is True:
            _checks.refuse("jit_compile", "left out, for what a step keeps has no fixed size", True)
        super().compile(*args, **kwargs)

    def fit(self, *args: Any, **kwargs: Any) -> keras.callbacks.History:
        """As `keras.Model.fit`; nothing is kept from an earlier one."""
        self._left.value.forget()
        return super().fit(*args, **kwargs)

    def call(self, x: Any, training: bool | None = None) -> Any:
        step = self._step
        if step is None:
            return self.model(x, training=training)
        outputs, mask = x, None
        for part in self._parts.value:
            outputs, mask = part.run(outputs, mask, training=bool(training))
            if part.end is not None:
                step.features = outputs
        step.outputs = outputs if self._parts.value else self.model(x, training=training)
        return step.outputs

    def train_step(self, data: Any) -> dict[str, Any]:
        number, seed = self._counter.next()
        batch = self._checked(keras.utils.unpack_x_y_sample_weight(data))
        memory = self._left.value
        memory.prepare(batch, self.layer.nothing_carried)
        left = memory.read()
        with watching() as seen, self._told.counting():
            carried, mixed = self.layer.carry(left.carried, batch, seed=seed, step=number)
        with self._stepping(_step_of(left, seen[-1], self.layer.axes)) as step:
            # Keras' own step, past that of `MixModel`, which mixes each batch alone.
            logs = super(MixModel, self).train_step(mixed)
            memory.write(Left(carried, tf.stop_gradient(self._probabilities(step.outputs))))
        return logs

    def compute_loss(self, *args: Any, **kwargs: Any) -> tf.Tensor:
        loss, step = super().compute_loss(*args, **kwargs), self._step
        if step is None or step.features is None:
            return loss
        given = dict(zip(("x", "y", "y_pred", "sample_weight"), args, strict=False)) | kwargs
        return loss + tf.cast(self._consistency(step, given.get("sample_weight")), loss.dtype)

    def _consistency(self, step: _Step, sample_weight: Any) -> tf.Tensor:
        """The consistency loss, a float32 scalar."""
        seen = mean_in_window(step.features, step.window, step.sizes)
        log_probabilities = tf.math.log_softmax(self._logits_of(seen, tf.shape(step.features)), axis=-1)
        # What is not there, before the first step, has the share 0.
        each = -tf.reduce_sum(step.predicted * log_probabilities, axis=-1) * step.share
        if isinstance(sample_weight, tf.Tensor) and sample_weight.shape.rank == 1:
            each *= tf.cast(sample_weight, each.dtype)
        return self.consistency_weight * tf.math.divide_no_nan(
            tf.reduce_sum(each), tf.cast(tf.size(each), each.dtype)
        )

    def _logits_of(self, seen: tf.Tensor, shape: tf.Tensor) -> tf.Tensor:
        """What the head makes of the features' means, as logits."""
        if self.consistency_head is not None:
            return self.consistency_head(seen)
        rank = self.layer.axes
        spread = tf.reshape(seen, tf.stack([tf.shape(seen)[0], *[1] * rank, tf.shape(seen)[1]]))
        part = self._parts.value[-1]
        everywhere = tf.broadcast_to(spread, shape)
        everywhere.set_shape([None, *self.model.get_layer(self._parts.value[0].end).output.shape[1:]])
        outputs, _ = part.run(everywhere, None, training=True)
        return _logits(outputs, self.from_logits)

    def _probabilities(self, outputs: tf.Tensor) -> tf.Tensor:
        outputs = tf.cast(outputs, tf.float32)
        return tf.nn.softmax(outputs) if self.from_logits else outputs

    def _checked(self, batch: Any) -> Any:
        """A batch to train on, if there are targets and one replica."""
        with _checks.speaking_as(self):
            if tf.distribute.get_replica_context().num_replicas_in_sync > 1:
                raise _checks.problem(
                    "each replica would keep mixtures of its own. Received: a strategy of several. Mix before, by "
                    "dataset.apply(kmix_tf.mix(layer)), without the consistency loss; or train on one device."
                )
            x, y, _ = batch
            if y is None:
                raise _checks.problem(
                    f"fit takes features and targets, as (x, y). Received: x={type(x).__name__}, no y."
                )
        return batch

    @property
    def _step(self) -> _Step | None:
        return getattr(self._current, "step", None)

    @contextlib.contextmanager
    def _stepping(self, step: _Step) -> Iterator[_Step]:
        self._current.step = step
        try:
            yield step
        finally:
            self._current.step = None

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "model": keras.saving.serialize_keras_object(self.model),
            "layer": keras.saving.serialize_keras_object(self.layer),
            "consistency_weight": self.consistency_weight,
            "features": self.features,
            "head": self.head,
            "from_logits": self.from_logits,
            "seed": self._counter.seed,
        }


def _require_outputs(model: keras.Model, from_logits: bool) -> None:
    """Refuses probabilities that are said to be logits, and the other way round, where the model shows it."""
    found = [ending.activation for ending in endings(model)]
    if from_logits and found in ([SOFTMAX], [SIGMOID]):
        _checks.refuse("from_logits", f"False for a model that ends with a {found[0]}", True)
    if not from_logits and found == [LINEAR]:
        _checks.refuse("from_logits", "True for a model that ends without a softmax", False)


def _logits(outputs: tf.Tensor, from_logits: bool) -> tf.Tensor:
    outputs = tf.cast(outputs, tf.float32)
    return outputs if from_logits else tf.math.log(tf.maximum(outputs, keras.backend.epsilon()))


def _step_of(left: Left, seen: dict[str, Any], axes: int) -> _Step:
    """Where a mix that was watched shows the batch before, and what was predicted of it."""
    blended, partner = seen["blended"], seen["drawn"].plan.partner
    rows = partner % tf.maximum(tf.shape(left.predicted)[0], 1)
    # Before the first step there is nothing to take, and its share is 0.
    there = tf.concat([left.predicted, tf.zeros([1, left.predicted.shape[1]])], axis=0)
    image = image_of(seen["batch"].tensors(FEATURES), axes)
    sizes = tf.unstack(tf.shape(image)[1 : 1 + axes], axes)
    return _Step(tf.gather(there, rows), 1 - blended.ratio, blended.window, sizes)


def _classes_of(model: keras.Model) -> int:
    """The width of a model's one output."""
    shapes = [tuple(each.shape) for each in getattr(model, "outputs", None) or []]
    if len(shapes) != 1 or len(shapes[0]) != 2 or shapes[0][1] is None:
        raise _checks.problem(
            f"model must have one output (batch, classes). Received: {model.name!r} with outputs {shapes}."
        )
    return int(shapes[0][1])
