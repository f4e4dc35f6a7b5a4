"""Mixing in the training step, on the model's own device."""

import contextlib
import threading
from collections.abc import Iterator
from typing import Any, Unpack

import keras
import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._compat import register
from kmix_tf.batch.one_dictionary import is_one_dictionary
from kmix_tf.layers import Stage
from kmix_tf.layers.options import KerasOptions
from kmix_tf.models.across import across, require_gathering
from kmix_tf.models.backends import IN_THE_DATA_STAGE, require_tensorflow
from kmix_tf.models.first_pass import FirstPass, carrying, first_pass
from kmix_tf.models.lookups import HIDDEN_INSTEAD, averaged_inputs, input_specs, require_no_lookups, specs_of
from kmix_tf.models.salient import checked_options, in_turn, salient_axes
from kmix_tf.models.wrapper import MixingWrapper, require_floating_inputs

# Options of `MixModel` that models which mix in their own way have not.
NOT_OFFERED = ("smoothing", "across_replicas", "saliency_every", "saliency_shrink")


@register
class MixModel(MixingWrapper):
    """Trains a model on mixtures that are made in the training step, on the model's device.

    On an accelerator this takes the mix off the host: give the layer `solver="graph"`, and the whole step can be
    compiled with `jit_compile=True`. `fit` takes batches as the layer takes them, unmixed; loss and metrics in its
    logs are those of the mixtures. `evaluate` and validation convert targets as the layer does (integer labels become
    one-hot) and mix nothing; `predict`, calls and `export` are the plain model's.

    Example:
        >>> model = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(2)])
        >>> mixing = MixModel(model, KMixupLayer(4, solver="graph", num_classes=2), seed=0)
        >>> mixing.compile("sgd", keras.losses.CategoricalCrossentropy(from_logits=True))
        >>> history = mixing.fit(tf.random.uniform([16, 3]), np.arange(16) % 2, verbose=0)
        >>> mixing.predict(tf.ones([5, 3]), verbose=0).shape
        (5, 2)
        >>> regmixup = MixModel(model, KMixupLayer(1, alpha=20.0, num_classes=2), clean_weight=1.0, seed=0)
        >>> regmixup.compile("sgd", keras.losses.CategoricalCrossentropy(from_logits=True))
        >>> history = regmixup.fit(tf.random.uniform([16, 3]), np.arange(16) % 2, verbose=0)
        >>> layer, both = regmixup.layer, lambda *each: tf.concat(each, 0)
        >>> dataset = tf.data.Dataset.from_tensors((tf.eye(3), [0, 1, 1]))
        >>> dataset.map(
        ...     lambda x, y: tf.nest.map_structure(both, layer(x, y, training=False), layer(x, y))
        ... ).element_spec[0].shape
        TensorShape([6, 3])

    Args:
        model: a built Keras model. It stays usable by itself and shares its weights.
        layer: any `MixLayer` or `ChoiceLayer`, also with a schedule, which counts this model's steps.
        seed: an integer >= 0 for repeatable draws; default the layer's, or else random. Each step has a seed of its
            own that follows from it, from the number of steps trained, which is saved with the model, and from the
            replica: resumed training draws what would have come, and replicas draw differently.
        clean_weight: adds so many times the gradient of the loss on the unmixed batch, finite and >= 0, default 0.
            A blend that asks for saliency, such as `PuzzleMixBlend` with `saliency=None`, is told the gradient of
            that loss by the image, which takes a pass of its own before the step (of a choice, before every step,
            whatever is chosen). That pass gives this gradient as well: the model is then asked as in training,
            and else as in inference. That loss is the one given to `compile`, with its weights and the samples';
            penalties of weights and `add_loss` are not in it. Without a loss in `compile`, saliency is that of what
            `add_loss` added, and `clean_weight` must be 0.
        smoothing: standard deviation, in places, of a Gaussian to smooth this saliency by, or one for each axis;
            default None. Worth having with `SaliencyMixBlend`, whose box else follows a single noisy pixel.
        across_replicas: False (default), each replica of a distribution strategy takes its own rows for the batch:
            it pairs, weighs and chooses among these. True, it mixes them with those of all replicas, which are
            gathered and mixed on each of them with one seed: what results is what one process makes of the whole
            batch, with partners from the whole of it and weights whose mean is 1 in the whole of it. That sends each
            batch to every replica, and has each do the mixing of all. For `MirroredStrategy` and
            `MultiWorkerMirroredStrategy`; without a strategy it changes nothing.
        saliency_every: n, an integer >= 1, default 1: the model is asked in the first of n steps, and in the others
            saliency is that of the images by themselves, `SpectralResidualSaliency`, which takes no pass. It may cost
            accuracy: on the one set where it was measured, n = 4 raised the error of Puzzle Mix by 3.3 points.
        saliency_shrink: n, an integer >= 1, default 1: the model is asked of means of n places along each axis, for
            models that take images of any size; what it says is interpolated to all places. With n = 2, the
            pass is of a quarter of the places; on the same data no difference in error could be told.

    Samples whose saliency is NaN or infinite, as where gradients overflow, are mixed as if it were uniform; `fit`
    warns of how many there were, after each epoch. It warns, too, if more than half of the mixtures, or all of a
    batch, weighed nothing: see `ThresholdWeight`.

    Call:
        `model(x, training=None)`, x as the wrapped model takes it, and returns.

    Raises:
        TypeError, ValueError: for other arguments, a model that is not built, inputs that would be averaged though
            the model looks them up by number, as an `Embedding` does (of a subclassed model, in the first step); at
            `compile` for `jit_compile=True` with a layer that needs the host; in training, for a `clean_weight`
            without a loss in `compile`.

    With `clean_weight=1` and ratios near 1/2 this is RegMixup, as in the second example. Its published code takes
    alpha = 20 for CIFAR-10 and 10 for CIFAR-100, and the mean over both batches, which is half of this sum: the same
    step has half of our learning rate. It shows the model both as one batch, by which batch normalisation differs. A
    map of a dataset can do so, too, as in the last example, where mixtures have no weights.

    Source: k-mixup, Section 2; multi-mix, Section III; Local Mixup, eq. (3), each as the layer says. The pass before
        the step: Kim et al., *Puzzle Mix* (2020). The clean loss beside that of mixtures: Pinto et al., *RegMixup*
        (2022), as its published code computes it.
    """

    @_checks.speaks
    def __init__(
        self,
        model: keras.Model,
        layer: Stage,
        seed: int | None = None,
        clean_weight: float = 0.0,
        smoothing: Any = None,
        across_replicas: bool = False,
        saliency_every: int = 1,
        saliency_shrink: int = 1,
        **kwargs: Unpack[KerasOptions],
    ):
        require_tensorflow("its step, which mixes each batch", f"{IN_THE_DATA_STAGE}, which mixes as well")
        super().__init__(model, [layer], "layer", seed, **kwargs)
        self.layer = layer
        require_floating_inputs(model, layer)
        self._is_looked_at = False
        if input_specs(model) is not None:
            self._look_for_lookups(input_specs(model))
        self.clean_weight = _checks.number("clean_weight", clean_weight)
        options = checked_options(model, layer, self.clean_weight, smoothing, saliency_every, saliency_shrink)
        self.smoothing, self.saliency_every, self.saliency_shrink = options
        self.across_replicas = _checks.flag("across_replicas", across_replicas)
        if self.across_replicas and tf.distribute.get_strategy().num_replicas_in_sync > 1:
            self.supports_jit = False
        self._carried = threading.local()

    @property
    def mixers(self) -> list[Stage]:
        """The layer that mixes."""
        return [self.layer]

    @_checks.speaks
    def compile(self, *args: Any, **kwargs: Any) -> None:
        """As `MixingWrapper.compile`.

        Raises:
            ValueError: also for `across_replicas=True` with XLA or with a strategy that does not gather.
        """
        if self.across_replicas:
            require_gathering(self.distribute_strategy, kwargs.get("jit_compile") is True)
        super().compile(*args, **kwargs)

    def call(self, x: Any, training: bool | None = None) -> Any:
        return self.model(x, training=training)

    def train_step(self, data: Any) -> dict[str, Any]:
        step, seed = self._counter.next(alike=self.across_replicas)
        data = self._taken(data)
        axes = salient_axes(self.layer)
        if axes is None and not self.clean_weight:
            return super().train_step(self._mixed(data, seed, step))
        before = self._before(axes, data, step)
        mixed = self._mixed(data, seed, step, before.saliency)
        with self._carrying(before.gradients):
            return super().train_step(mixed)

    def _before(self, axes: int | None, data: Any, step: tf.Tensor) -> FirstPass:
        """What is asked of the model before the batch is mixed."""
        with _checks.speaking_as(self):
            added = self._has_added_losses_alone()

        def asked() -> FirstPass:
            return first_pass(
                self,
                axes,
                data,
                with_weights=bool(self.clean_weight),
                with_added=added,
                smoothing=self.smoothing,
                shrink=self.saliency_shrink,
            )

        if axes is None or self.saliency_every == 1:
            return asked()
        saliency = in_turn(step, self.saliency_every, lambda: asked().saliency, self.layer, axes, data)
        return FirstPass(saliency, [])

    def _taken(self, data: Any) -> Any:
        """`(x, y, sample_weight)` of a batch to train on, as far as it is seen to be one."""
        data = keras.utils.unpack_x_y_sample_weight(data)
        with _checks.speaking_as(self):
            require_targets_apart(data, self.layer)
        if not self._is_looked_at:
            # Of a subclassed model, only data say what its inputs are.
            self._look_for_lookups(specs_of(data[0], averaged_inputs(self.layer, data[0])))
        return data

    def _look_for_lookups(self, specs: Any) -> None:
        with _checks.speaking_as(self):
            require_no_lookups(self.model, specs, averaged_inputs(self.layer, specs), "mixed", HIDDEN_INSTEAD)
        self._is_looked_at = True

    def _mixed(self, data: Any, seed: tf.Tensor, step: tf.Tensor, saliency: tf.Tensor | None = None) -> Any:
        def mixed(data: Any, saliency: Any) -> Any:
            return self.layer(*data, training=True, seed=seed, step=step, saliency=saliency)

        with self._told.counting():
            return across(mixed, data, saliency) if self._gathers else mixed(data, saliency)

    @property
    def _gathers(self) -> bool:
        return self.across_replicas and tf.distribute.get_replica_context().num_replicas_in_sync > 1

    def mix(self, data: tuple[Any, Any, Any], seed: Any, step: Any) -> Any:
        """The mixtures that a step with this seed and number trains on, of a batch `(x, y, sample_weight)`; not of a
        blend that asks for saliency, which takes a pass before the step."""
        x, y, sample_weight = data
        return self.layer.mixed(x, y, sample_weight, training=True, seed=seed, step=step)

    def _has_added_losses_alone(self) -> bool:
        """Whether `compile` was given no loss, so that there is but what the model adds itself.

        Raises:
            ValueError: where gradients of the clean batch are wanted: penalties of weights would be in them.
        """
        is_alone = type(self).compute_loss is MixModel.compute_loss and not self.loss
        if is_alone and self.clean_weight:
            raise _checks.problem(
                f"clean_weight must be 0 without a loss in compile(): what add_loss added "
                f"cannot be told from penalties of weights. Received: clean_weight={self.clean_weight}."
            )
        return is_alone

    def compute_loss(self, *args: Any, **kwargs: Any) -> tf.Tensor:
        loss = super().compute_loss(*args, **kwargs)
        gradients = getattr(self._carried, "gradients", None)
        if not gradients:
            return loss
        return loss + tf.cast(carrying(self.trainable_variables, gradients, self.clean_weight), loss.dtype)

    @contextlib.contextmanager
    def _carrying(self, gradients: list[tf.Tensor]) -> Iterator[None]:
        # Through the loss, so that Keras' own step does with them what it does with those of the mixtures.
        self._carried.gradients = gradients
        try:
            yield
        finally:
            self._carried.gradients = None

    def test_step(self, data: Any) -> dict[str, Any]:
        data = keras.utils.unpack_x_y_sample_weight(data)
        with _checks.speaking_as(self):
            require_targets_apart(data, self.layer)
        return super().test_step(self.layer(*data, training=False))

    def _as_tried(self, data: Any) -> Any:
        return self.layer(*data, training=False)

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "model": keras.saving.serialize_keras_object(self.model),
            "layer": keras.saving.serialize_keras_object(self.layer),
            "seed": self._counter.seed,
            "clean_weight": self.clean_weight,
            "smoothing": None if self.smoothing is None else list(self.smoothing),
            "across_replicas": self.across_replicas,
            "saliency_every": self.saliency_every,
            "saliency_shrink": self.saliency_shrink,
        }


def require_targets_apart(data: Any, layer: Stage) -> None:
    """Refuses one dictionary of images and targets, which models take for features alone.

    Raises:
        ValueError: saying how to take it apart.
    """
    x, y, _ = data
    if y is None and not layer.features_only and is_one_dictionary(x, layer.passthrough):
        raise _checks.problem(
            f"fit takes features and targets apart, as (x, y). Received: one dictionary with keys {list(x)}. Map the "
            "dataset first: dataset.map(lambda data: (data['images'], data['labels'])), or whatever is its target."
        )
