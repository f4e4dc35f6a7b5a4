"""AdaMixup: the interval that ratios are drawn in is learnt along with the model."""

import contextlib
import threading
from collections.abc import Iterator
from typing import Any, NamedTuple, Unpack

import keras
import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._compat import register
from kmix_tf.blend import LinearBlend
from kmix_tf.layers import MixLayer
from kmix_tf.layers.options import KerasOptions
from kmix_tf.mixing.draw import MixPlan
from kmix_tf.models.ada.features import Features
from kmix_tf.models.ada.networks import checked_discriminator, checked_policy, default_discriminator
from kmix_tf.models.ada.ratios import Intervals, interval_of, intervals_of, intrusion_loss, ratios_within
from kmix_tf.models.first_pass import data_loss
from kmix_tf.models.mixing import NOT_OFFERED, MixModel
from kmix_tf.ratio import BetaRatio
from kmix_tf.seeding import mix_seeds

_TOLD = ("mix_low", "mix_high", "intrusion_loss")


class _Mixed(NamedTuple):
    """Mixtures, and the intervals that their ratios are from."""

    x: Any
    y: Any
    sample_weight: Any
    intervals: Intervals


class _Step:
    """One training step: the batch and its seed; then targets, weights and further losses of what was made of it."""

    def __init__(self, data: Any, step: tf.Tensor, seed: tf.Tensor):
        self.data, self.step, self.seed = data, step, seed
        self.y, self.sample_weight = data[1], data[2]
        self.clean: Any = None
        self.intrusion: Any = None


@register
class AdaMixupModel(MixModel):
    """Trains a model on mixtures whose ratios a policy learns to choose, pair by pair.

    A small network, the policy, sees both samples of a pair and answers with three logits, of which a softmax makes
    (a, b, c). The ratio is a + b u, uniform in [a, a + b] as u is in [0, 1), so that gradients reach the policy
    through the mixtures. A discriminator learns meanwhile to tell mixtures from samples, and the policy to make
    mixtures that can be told: others may lie where samples of another class are. One optimizer, that of `compile`,
    trains all three, by the sum of the mixtures' loss, that of the batch as it is, and the discriminator's. As in
    `MixModel`, `fit` takes batches as the layer does, unmixed, and loss and metrics in its logs are those of the
    mixtures, with "mix_low" and "mix_high", the mean ends of intervals, and "intrusion_loss", the discriminator's
    mean cross-entropy, which is ln 2 = 0.69 where it cannot tell. `evaluate`, `predict`, calls and `export` are the
    plain model's.

    Look at "mix_low" and "mix_high": the policy lowers the sum of losses by whatever it can, and may come to give all
    pairs the whole of [0, 1], which is plain mixup, or one end of it, which is no mixing. A slower optimizer, or
    another `intrusion_weight`, then may do otherwise.

    Mixtures and batch go through the model at once, so a step costs two plain ones and the policy's pass.

    Example:
        >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(8, "relu"), keras.layers.Dense(2)])
        >>> mixing = AdaMixupModel(model, KMixupLayer(4, solver="graph", num_classes=2), seed=0)
        >>> mixing.compile("sgd", keras.losses.CategoricalCrossentropy(from_logits=True))
        >>> history = mixing.fit(tf.random.uniform([16, 3]), np.arange(16) % 2, verbose=0)
        >>> sorted(history.history)
        ['intrusion_loss', 'loss', 'mix_high', 'mix_low']
        >>> low, high = mixing.interval(tf.zeros([5, 3]), tf.ones([5, 3]))

    Args:
        model: a built functional or sequential Keras model of one input. It stays usable by itself and shares its
            weights.
        layer: a `MixLayer` that says who is mixed with whom and what it counts: also `KMixupLayer(k)`, or
            `MultiMixLayer(interpolations)`, whose ratios are several draws in one interval, descending. Its ratio
            must be left out, for the policy says that, and so must its blend, through which the policy learns: it is
            linear. Default `MixLayer()`, for soft labels.
        policy: a functional Keras model of two inputs, sample and partner, each as the model's, in float32, and of
            one output, `(batch, 3)`, logits of a, b and c. Default None: a new one, of two small convolutions for
            images, signals and volumes, and a small dense layer for tables; it normalises its inputs over the batch.
        discriminator: a Keras model that is given features, `(batch, ...)`, and answers with a logit `(batch, 1)`,
            high for samples. Default None: a new one, two linear layers as published; or, where it is given the
            samples themselves, a network like the policy's.
        at: the name of the layer whose output features are; "input" for samples themselves, of which the
            discriminator then is a network of its own; default None, the input of the last layer with weights.
        clean_weight: of the loss on the unmixed batch, finite and >= 0, default 1.
        intrusion_weight: of the discriminator's loss, finite and >= 0, default 2. 0 leaves it out. The published code
            has the mean of the two other losses plus this one: half of the total here.
        seed: as in `MixModel`.

    Call:
        `model(x, training=None)`, x as the wrapped model takes it, and returns.

    Raises:
        TypeError, ValueError: for other arguments; policies and discriminators with other inputs or outputs, or which
            end with a softmax or a sigmoid; layers with a ratio or a blend of their own; subclassed models; models of
            several inputs; in training, for `compile` without a loss.

    Samples that are their own partners, and batches that the layer leaves unmixed, have ratio 1 and come back
    exactly; they count neither as mixtures for the discriminator nor in the logs' intervals. What a mixture counts is
    taken as it is: the policy does not learn from weights, nor the discriminator. Intervals are computed in float32
    under any policy of dtypes.

    Source: Guo, Mao and Zhang, *MixUp as Locally Linear Out-Of-Manifold Regularization* (2019), as its published code
        computes it. Differences: the policy is given both samples, where that gives it their mean under random
        weights, and is a small network, where that has one like the model; the discriminator is shown each side
        equally, where that shows it twice as many samples, half of which are in no mixture; the model is asked once
        for both losses, where that asks it once more for the discriminator.
    """

    layer: MixLayer

    @_checks.speaks
    def __init__(
        self,
        model: keras.Model,
        layer: MixLayer | None = None,
        policy: keras.Model | None = None,
        discriminator: keras.Model | None = None,
        at: str | None = None,
        clean_weight: float = 1.0,
        intrusion_weight: float = 2.0,
        seed: int | None = None,
        **kwargs: Unpack[KerasOptions],
    ):
        super().__init__(model, _checked_layer(layer), seed, clean_weight, **kwargs)
        self.at = at
        self._features = Features(model, at)
        self.intrusion_weight = _checks.number("intrusion_weight", intrusion_weight)
        self.policy = checked_policy(policy, self._features.inputs)
        if discriminator is None:
            units = model.outputs[0].shape[-1]
            discriminator = default_discriminator(self._features.shape, self._features.of_inputs, units)
        self.discriminator = checked_discriminator(discriminator, self._features.shape)
        self._told_of_policy = [keras.metrics.Mean(name=name) for name in _TOLD]
        self._current = threading.local()

    @property
    def trainable_weights(self) -> list[Any]:
        """The wrapped model's, the policy's and the discriminator's."""
        beside = [self.policy, *([self.discriminator] if self.intrusion_weight else [])]
        return [*super().trainable_weights, *(w for each in beside if self.trainable for w in each.trainable_weights)]

    def train_step(self, data: Any) -> dict[str, Any]:
        with _checks.speaking_as(self):
            if not self.loss:
                raise _checks.problem("compile needs a loss, by which the policy learns. Received: none.")
        step, seed = self._counter.next()
        current = _Step(self._taken(data), step, seed)
        with self._stepping(current):
            # Keras' own step, whose tape sees in `call` how the batch is mixed.
            return super(MixModel, self).train_step(current.data)

    def call(self, x: Any, training: bool | None = None) -> Any:
        step = self._step
        return self.model(x, training=training) if step is None else self._answers(step)

    def _answers(self, step: _Step) -> Any:
        """What the model says of the mixtures; the rest, which further losses are of, the step takes along."""
        with self._told.counting():
            mixed = self._mixed_by_policy(step.data, step.seed, step.step)
        _, converted = self.layer.converted(*step.data)
        clean_x, clean_y, clean_weight = keras.utils.unpack_x_y_sample_weight(converted)
        count = tf.shape(tf.nest.flatten(mixed.x)[0])[0]
        # In one pass, so that statistics of batch normalisation are those of both.
        features, answers = self._features(tf.nest.map_structure(lambda *both: tf.concat(both, 0), mixed.x, clean_x))
        step.y, step.sample_weight = mixed.y, mixed.sample_weight
        step.clean = clean_x, clean_y, tf.nest.map_structure(lambda leaf: leaf[count:], answers), clean_weight
        step.intrusion = self._intrusion(features, mixed.intervals, count)
        self._tell_of(mixed.intervals, step.intrusion)
        return tf.nest.map_structure(lambda leaf: leaf[:count], answers)

    def _intrusion(self, features: tf.Tensor, intervals: Intervals, count: tf.Tensor) -> tf.Tensor:
        is_real = tf.cast(tf.range(tf.shape(features)[0]) >= count, tf.float32)
        is_mixed = tf.cast(tf.reshape(intervals.is_mixed, [-1]), tf.float32)
        times = count // tf.maximum(tf.size(is_mixed), 1)
        counts = tf.concat([tf.tile(is_mixed, [times]), tf.ones([tf.shape(features)[0] - count])], 0)
        return intrusion_loss(self.discriminator(features, training=True), is_real, counts)

    def _tell_of(self, intervals: Intervals, intrusion: tf.Tensor) -> None:
        low, high, told = self._told_of_policy
        counts = tf.cast(intervals.is_mixed, tf.float32)
        low.update_state(intervals.low, counts)
        high.update_state(intervals.high, counts)
        told.update_state(intrusion)

    def _mixed_by_policy(self, data: Any, seed: Any, step: Any) -> _Mixed:
        seen: list[Intervals] = []

        def ratio(features: list[tf.Tensor], plan: MixPlan) -> tf.Tensor:
            seen.append(intervals_of(self.policy, features[0], plan.partner))
            return ratios_within(seen[0], plan, mix_seeds(seed).ratio)

        mixed = self.layer.mixed(*data, training=True, seed=seed, step=step, ratio=ratio)
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(mixed)
        # What mixtures count is not to be learnt: the policy would seek samples that count little.
        sample_weight = tf.nest.map_structure(
            lambda leaf: None if leaf is None else tf.stop_gradient(leaf), sample_weight
        )
        return _Mixed(x, y, sample_weight, seen[0])

    def mix(self, data: Any, seed: Any, step: Any = 0) -> Any:
        """The mixtures `(x, y, sample_weight)` of a batch `(x, y, sample_weight)` that a step of this seed trains on;
        weights are None where there are none."""
        return tuple(self._mixed_by_policy(data, seed, step)[:3])

    def interval(self, x: Any, partner: Any) -> tuple[tf.Tensor, tf.Tensor]:
        """The ends of the interval in which the ratio of each pair is drawn, float32 `(batch,)`, as in training.

        Args:
            x, partner: samples and their partners, `(batch, ...)`.
        """
        return interval_of(self.policy, *(tf.convert_to_tensor(side) for side in (x, partner)))

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, *args: Any, **kwargs: Any
    ) -> tf.Tensor:
        step = self._step
        if step is None:
            return super().compute_loss(x, y, y_pred, sample_weight, *args, **kwargs)
        with self._stepping(None):
            loss = super().compute_loss(x, step.y, y_pred, step.sample_weight, *args, **kwargs)
            beside = self._beside(step)
        # Keras' logs are those of the mixtures: what comes beside adds its gradient alone.
        return loss + tf.cast(beside - tf.stop_gradient(beside), loss.dtype)

    def _beside(self, step: _Step) -> tf.Tensor:
        """What the loss has beside that of the mixtures, as a strategy's replicas sum it up."""
        beside = tf.zeros([])
        if self.clean_weight:
            with self.without_penalties():
                beside += self.clean_weight * tf.cast(data_loss(self, *step.clean), tf.float32)
        if self.intrusion_weight:
            replicas = tf.distribute.get_strategy().num_replicas_in_sync
            beside += self.intrusion_weight / replicas * step.intrusion
        return beside

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, Any]:
        step = self._step
        if step is not None:
            y, sample_weight = step.y, step.sample_weight
        return super().compute_metrics(x, y, y_pred, sample_weight)

    def test_step(self, data: Any) -> dict[str, Any]:
        return {name: value for name, value in super().test_step(data).items() if name not in _TOLD}

    @property
    def _step(self) -> _Step | None:
        # Of this thread: a distribution strategy traces each replica in a thread of its own, and by turns.
        return getattr(getattr(self, "_current", None), "step", None)

    @contextlib.contextmanager
    def _stepping(self, step: _Step | None) -> Iterator[None]:
        before, self._current.step = self._step, step
        try:
            yield
        finally:
            self._current.step = before

    def get_config(self) -> dict[str, Any]:
        config = {name: value for name, value in super().get_config().items() if name not in NOT_OFFERED}
        config |= {"at": self.at, "intrusion_weight": self.intrusion_weight}
        return config | {
            name: keras.saving.serialize_keras_object(getattr(self, name)) for name in ("policy", "discriminator")
        }


def _checked_layer(layer: Any) -> MixLayer:
    """A layer whose ratio is left out, and whose blend tells a policy what its ratio does.

    Raises:
        TypeError, ValueError: for anything else.
    """
    if layer is None:
        return MixLayer()
    if not isinstance(layer, MixLayer):
        _checks.refuse("layer", "a MixLayer such as KMixupLayer(16), and no choice of them", layer, TypeError)
    ratio = layer.ratio
    if type(ratio) is not BetaRatio or (ratio.alpha, ratio.scope) != (1.0, "batch"):
        shown = (
            f"BetaRatio(alpha={ratio.alpha:g}, scope={ratio.scope!r})" if type(ratio) is BetaRatio else ratio.shown
        )
        raise _checks.problem(
            "the policy says how much is mixed: layer must leave its ratio out, as MixLayer(pairing), KMixupLayer(k) "
            f"and MultiMixLayer(interpolations) do. Received: one with {shown}."
        )
    if type(layer.blend) is not LinearBlend:
        raise _checks.problem(
            "the policy learns from what its ratios do to the mixtures, smoothly: layer must have the linear blend. "
            f"Received: one with {layer.blend.shown}. Leave blend out."
        )
    return layer
