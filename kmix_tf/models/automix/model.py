"""AutoMix: the masks of mixtures are learnt along with the model."""

from typing import Any, NamedTuple, Unpack

import keras
import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._compat import register
from kmix_tf.layers import MixLayer
from kmix_tf.layers.options import KerasOptions
from kmix_tf.mixing.watch import watching
from kmix_tf.models.automix.attention import area_loss
from kmix_tf.models.automix.blend import MaskBlend
from kmix_tf.models.automix.block import MixBlock
from kmix_tf.models.automix.checked import checked_block, checked_layer, checked_teacher
from kmix_tf.models.automix.momentum import checked_momentum, copy_of, follow
from kmix_tf.models.automix.place import MapsOf
from kmix_tf.models.first_pass import carrying, data_loss, scaled, unscaled, values_of
from kmix_tf.models.mixing import NOT_OFFERED, MixModel
from kmix_tf.seeding import MixSeeds, as_seed, split

LABELS = ("realised", "drawn")

_MOMENTUM = 0.999  # as published


class _Pass(NamedTuple):
    """What a step knows of the block's own mixtures. loss: a scalar. errors: of each mask. gradients: of the block's
    weights."""

    loss: tf.Tensor
    errors: tf.Tensor
    gradients: list[tf.Tensor]


@register
class AutoMixModel(MixModel):
    """Trains a model on mixtures, and with it a block that learns which sample a mixture shows at which place.

    Each step asks a copy of the model, which follows it slowly, for the feature maps of the batch, and makes two
    mixtures of it by masks that the block gives for these. The one, with masks taken for constants, trains the model.
    The other is classified by the copy, and its loss, with that of the masks' areas, trains the block and nothing
    else. One optimizer, that of `compile`, moves both. As in `MixModel`, `fit` takes batches as the layer does,
    unmixed, and loss and metrics in its logs are those of the mixtures, with "block_loss", the block's, and
    "mask_error", by how much masks' means miss their ratios. `evaluate`, `predict`, calls and `export` are the plain
    model's.

    A step costs about three times a plain one, of which the clean batch is one and the block's mixtures are another;
    without the former, and with a block that is not trained, 1.3 times.

    Example:
        >>> inputs = keras.Input((8, 8, 1))
        >>> maps = keras.layers.Conv2D(4, 3, 2, padding="same", activation="relu", name="maps")(inputs)
        >>> model = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(maps)))
        >>> mixing = AutoMixModel(model, "maps", KMixupLayer(4, alpha=2.0, solver="graph", num_classes=2), seed=0)
        >>> mixing.compile("sgd", keras.losses.CategoricalCrossentropy(from_logits=True))
        >>> history = mixing.fit(tf.random.uniform([16, 8, 8, 1]), np.arange(16) % 2, verbose=0)
        >>> sorted(history.history)
        ['block_loss', 'loss', 'mask_error']

    Args:
        model: a built functional or sequential Keras model of images. It stays usable by itself and shares its
            weights.
        at: the name of one of its layers, whose output is a feature map `(batch, *places, channels)`, with the axes
            of the images and no more places than they have. The published code takes the third of four stages.
        layer: a `MixLayer` that says who is mixed with whom, how much, and what it counts: also `KMixupLayer(k)` or
            `MultiMixLayer(interpolations)`. Its blend is left out, for that is the block. Default
            `MixLayer(ratio=BetaRatio(2.0))`, as published, for soft labels.
        block: a `MixBlock`, such as another model has trained; or the variant of a new one, "automix" (default) or
            "samix".
        train_block: False leaves the block as it is, which saves its mixtures; default True.
        teacher: None (default) for the copy; or a model that is asked instead, and stays as it is: the one that has
            trained the block, say, which knows its feature maps. It then has the layer `at`, and as many outputs as
            `model`, which may be subclassed.
        momentum: of the copy, which after each step becomes momentum x copy + (1 - momentum) x model, batch
            statistics with it: in [0, 1], or a callable of the step such as `MomentumSchedule(steps)`; default None,
            0.999. Trainings of a few thousand steps want less. 1 leaves it as it begins.
        clean_weight: adds so many times the gradient of the loss on the unmixed batch, as in `MixModel`; default 1.
        area_weight: of the loss of areas, the mean of max(|mask's mean - ratio| - area_margin, 0); >= 0, default 0.1.
            A "mask_error" that nears 0.5 says that masks have settled on one sample of each pair, whatever the ratio,
            as happens in short trainings with large steps: then give more, 3 say.
        area_margin: in [0, 1], default 0.1.
        variance_weight: of minus the variance of masks within an image, so that each place is of one sample rather
            than the mean of both, as in SAMix; >= 0, default 0. The published settings of SAMix have 0.2, round the
            mean over the batch.
        ratio_margin: where a ratio or 1 - ratio is no more than this, the model's mixtures are linear; in [0, 0.5],
            default 0.08.
        labels: "realised" (default), labels follow the means of masks, as everywhere in this library; or "drawn",
            they have the ratio that the mask was asked for, as published. The block's own mixtures have that always.
        seed: as in `MixModel`.

    Call:
        `model(x, training=None)`, x as the wrapped model takes it, and returns.

    Raises:
        TypeError, ValueError: for other arguments; a place without axes of places, or larger than the images, naming
            layers that would do; a subclassed model; a block for other channels; a layer that blends by itself; in
            training, for `compile` without a loss.

    Masks are made in float32 under any policy. With several interpolations each ratio of a pair has its own mask;
    targets of the images' places are mixed by it, place by place. Two loaders there are none: `fit` has one.

    Source: Liu et al., *AutoMix: Unveiling the Power of Mixup for Stronger Classifiers* (2022), with defaults of its
        published code for CIFAR-100. Differences: the model has one head, where that has one for mixtures and one for
        clean images; the copy has the model's batch statistics and is asked as in inference, where that has its own;
        areas are held to the ratio mixture by mixture, where that holds the mean over the batch; labels, see there;
        and those of `MixBlock`. Of SAMix (Li et al.) the negative term in the loss of the block is left out.
    """

    layer: MixLayer

    @_checks.speaks
    def __init__(
        self,
        model: keras.Model,
        at: str,
        layer: MixLayer | None = None,
        block: MixBlock | str = "automix",
        train_block: bool = True,
        teacher: keras.Model | None = None,
        momentum: Any = None,
        clean_weight: float = 1.0,
        area_weight: float = 0.1,
        area_margin: float = 0.1,
        variance_weight: float = 0.0,
        ratio_margin: float = 0.08,
        labels: str = "realised",
        seed: int | None = None,
        **kwargs: Unpack[KerasOptions],
    ):
        layer = checked_layer(layer)
        super().__init__(model, layer, seed, clean_weight, **kwargs)
        self.at = at
        self.has_copy = teacher is None
        MapsOf(model if teacher is None else checked_teacher(teacher, model), at)
        if teacher is not None and momentum is not None:
            _checks.refuse("momentum", "None beside a teacher, which stays as it is", momentum)
        self.momentum = checked_momentum(_MOMENTUM if momentum is None else momentum) if self.has_copy else None
        self.teacher = copy_of(model) if teacher is None else teacher
        self._maps = MapsOf(self.teacher, at)
        self.block = checked_block(block, self._maps.channels)
        self.train_block = _checks.flag("train_block", train_block)
        self.area_weight = _checks.number("area_weight", area_weight)
        self.area_margin = _checks.probability("area_margin", area_margin)
        self.variance_weight = _checks.number("variance_weight", variance_weight)
        self.ratio_margin = _checks.probability("ratio_margin", ratio_margin)
        if self.ratio_margin > 0.5:
            _checks.refuse("ratio_margin", "in [0, 0.5]", ratio_margin)
        self.labels = _checks.choice("labels", labels, LABELS)
        names = ("block_loss", "mask_error") if self.train_block else ()
        self._told_of_block = [keras.metrics.Mean(name=name) for name in names]

    @property
    def trainable_weights(self) -> list[Any]:
        """The wrapped model's and the block's; the copy follows without an optimizer."""
        block = self.block.trainable_weights if self.trainable and self.train_block else []
        return [*super().trainable_weights, *block]

    def train_step(self, data: Any) -> dict[str, Any]:
        step = tf.identity(tf.convert_to_tensor(self._counter.steps))
        with _checks.speaking_as(self):
            if self.train_block and not self.loss:
                raise _checks.problem("compile needs a loss, by which the block learns. Received: none.")
        try:
            logs = super().train_step(data)
        finally:
            self._carried.block = None
        if self.has_copy:
            momentum = self.momentum(step) if callable(self.momentum) else self.momentum
            follow(self.teacher.weights, self.model.weights, momentum)
        return logs

    def _mixed(self, data: Any, seed: tf.Tensor, step: tf.Tensor, saliency: tf.Tensor | None = None) -> Any:
        with _checks.speaking_as(self):
            maps = self.maps_of(data)
            if self.train_block:
                self._learn(self._block_pass(data, maps, seed, step))
        with self._told.counting():
            return self._by(self._blend(maps), data, seed, step)

    def maps_of(self, data: tuple[Any, Any, Any]) -> tf.Tensor:
        """What the teacher makes of a batch `(x, y, sample_weight)`, at the place."""
        x, y, sample_weight = data
        _, converted = self.layer.converted(x, y, sample_weight)
        return self._maps(converted if y is None else converted[0])

    def mix(self, data: tuple[Any, Any, Any], seed: Any, step: Any) -> Any:
        """The mixtures that a step with this seed and number trains the model on, of `(x, y, sample_weight)`."""
        return self._by(self._blend(self.maps_of(data)), data, seed, step)

    def _blend(self, maps: tf.Tensor) -> MaskBlend:
        return MaskBlend(self.block, maps, self.ratio_margin, self.labels == "drawn")

    def _by(self, blend: MaskBlend, data: Any, seed: Any, step: Any) -> Any:
        x, y, sample_weight = data
        return self.layer.mixed(x, y, sample_weight, training=True, seed=seed, step=step, blend=blend)

    def _block_pass(self, data: Any, maps: tf.Tensor, seed: tf.Tensor, step: tf.Tensor) -> _Pass:
        """Classifies mixtures of other pairs by the teacher, and differentiates by the block's weights alone."""
        weights = values_of(self.block.trainable_weights)
        # A seed that no other draw of this step has.
        seed = split(as_seed(seed), len(MixSeeds._fields) + 1)[-1]
        with tf.GradientTape(watch_accessed_variables=False) as tape, self.without_penalties():
            tape.watch(weights)
            with watching() as seen:
                mixed = self._by(MaskBlend(self.block, maps, drawn=True), data, seed, step)
            x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(mixed)
            answers = self.teacher(x, training=False)
            loss = tf.cast(data_loss(self, x, y, answers, sample_weight), tf.float32)
            blended, ratio = seen[-1]["blended"], seen[-1]["drawn"].plan.ratio
            # Replicas' gradients are summed up, and Keras has divided the loss by their number.
            cost = self._cost_of_masks(blended, ratio) / _replicas()
            objective, scale = scaled(self.optimizer, loss + cost)
        gradients = tape.gradient(objective, weights, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        errors = tf.abs(blended.ratio - ratio)
        return _Pass(loss * _replicas(), errors, [unscaled(gradient, scale) for gradient in gradients])

    def _cost_of_masks(self, blended: Any, ratio: tf.Tensor) -> tf.Tensor:
        cost = self.area_weight * area_loss(blended.ratio, ratio, self.area_margin)
        if self.variance_weight:
            axes = range(blended.ratio.shape.rank, blended.mask.shape.rank)
            cost -= self.variance_weight * tf.reduce_mean(tf.math.reduce_variance(blended.mask, axis=axes))
        return cost

    def _learn(self, seen: _Pass) -> None:
        """Keeps the block's gradients for Keras' own step, which takes them through the loss."""
        self._carried.block = seen.gradients
        told_loss, told_error = self._told_of_block
        # By mixtures: on a replica that got no rows there is no mean.
        told_loss.update_state(seen.loss, tf.size(seen.errors))
        told_error.update_state(seen.errors)

    def compute_loss(self, *args: Any, **kwargs: Any) -> tf.Tensor:
        loss = super().compute_loss(*args, **kwargs)
        gradients = getattr(self._carried, "block", None)
        if not gradients:
            return loss
        return loss + tf.cast(carrying(self.block.trainable_weights, gradients, 1.0), loss.dtype)

    def test_step(self, data: Any) -> dict[str, Any]:
        names = {metric.name for metric in self._told_of_block}  # which only training has
        return {name: value for name, value in super().test_step(data).items() if name not in names}

    def get_config(self) -> dict[str, Any]:
        config = {name: value for name, value in super().get_config().items() if name not in NOT_OFFERED}
        names = ("at", "train_block", "area_weight", "area_margin", "variance_weight", "ratio_margin", "labels")
        config |= {name: getattr(self, name) for name in names}
        config["block"] = keras.saving.serialize_keras_object(self.block)
        config["teacher"] = None if self.has_copy else keras.saving.serialize_keras_object(self.teacher)
        is_number = not callable(self.momentum)
        config["momentum"] = self.momentum if is_number else keras.saving.serialize_keras_object(self.momentum)
        return config


def _replicas() -> int:
    return tf.distribute.get_strategy().num_replicas_in_sync
