"""Manifold mixup: mixing what hidden layers compute."""

import contextlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Unpack

import keras
import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._compat import IS_KERAS_3, register
from kmix_tf.layers import Stage
from kmix_tf.layers.options import KerasOptions
from kmix_tf.models.backends import IN_THE_DATA_STAGE, require_tensorflow
from kmix_tf.models.lookups import averaged_inputs, input_specs, require_no_lookups
from kmix_tf.models.manifold.split import INPUT, parts_of
from kmix_tf.models.manifold.step import CompiledStep, MixingStep, converted, draw_place
from kmix_tf.models.wrapper import MixingWrapper, require_compilable, require_floating_inputs

_WITHOUT_INPUT = (
    "Mix what that layer, or one after it, makes of them: layers=[{layer!r}], without 'input'; or name them in the "
    "mix's passthrough=."
)


@register
class ManifoldMixModel(MixingWrapper):
    """Trains a model on mixtures made in its hidden layers: each step mixes the output of one layer, drawn anew.

    With `KMixupLayer(k=1)` it is manifold mixup; with `KMixupLayer(16)` samples are matched by what the drawn layer
    makes of them; with `MultiMixLayer` each pair is mixed several times there; `LocalMixupLayer` weighs mixtures by
    distances there; `CutMixLayer` pastes boxes of feature maps. Losses and metrics in the logs of `fit` are those of
    the mixtures. `evaluate` and validation mix nothing, and convert targets as the mix does (integer labels become
    one-hot); `predict`, calls and `export` are the plain model's. The k-mixup paper finds no gain of matching hidden
    features over k-mixup at the input, and that late layers can do harm. `fit` warns after each epoch if more than
    half of the mixtures, or all of a batch, weighed nothing: see `ThresholdWeight`.

    Padded sequences keep their masks (`Embedding(mask_zero=True)`, `Masking`): a mixture has the steps that either
    sample has, and layers to come are told so. Where a sample has no step it lends nothing: its features count as 0
    there, and its target, if that has steps, not at all. In a transformer encoder, mix at the layer that gives the
    sum of all embeddings, or between blocks, at a block's last layer: within a block skip connections go round.

    Args:
        model: a built functional or sequential Keras model. It stays usable by itself and shares its weights.
        layers: names of its layers, drawn alike often; "input" for its input. A layer must have one floating output,
            which all ways from the inputs to the outputs go through: in a residual network the end of a block, say.
        mix: any `MixLayer` or `ChoiceLayer`, also with a schedule, which counts this model's steps; or a dictionary
            with one for each of `layers`, which agree in `num_classes` and `targets`. Names in `match_on`,
            `passthrough` and `masks` mean features, which hidden layers have none of, and are for `layers=["input"]`.
        seed: an integer >= 0 for repeatable draws; default the mix's, or else random. Each step has a seed of its own
            that follows from it, from the number of steps trained, which is saved with the model, and from the
            replica: resumed training draws what would have come, and replicas draw differently.

    Call:
        `model(x, training=None)`, x as the wrapped model takes it, and returns.

    Raises:
        TypeError, ValueError: for other arguments, saying which layers would do; for a model that is not built or is
            subclassed; at `compile(jit_compile=True)` with a mix that needs the host.

    Source: Verma et al., *Manifold Mixup* (2019); multi-mix, eqs. (4) and (6); k-mixup, Table 8.

    Example:
        >>> inputs = keras.Input((3,))
        >>> hidden = keras.layers.Dense(8, activation="relu", name="hidden")(inputs)
        >>> model = keras.Model(inputs, keras.layers.Dense(2)(hidden))
        >>> mixing = ManifoldMixModel(model, ["input", "hidden"], KMixupLayer(4, num_classes=2), seed=0)
        >>> mixing.compile("sgd", keras.losses.CategoricalCrossentropy(from_logits=True))
        >>> history = mixing.fit(tf.random.uniform([16, 3]), np.arange(16) % 2, verbose=0)
        >>> mixing.predict(tf.ones([5, 3]), verbose=0).shape
        (5, 2)
    """

    @_checks.speaks
    def __init__(
        self,
        model: keras.Model,
        layers: Sequence[str],
        mix: Stage | Mapping[str, Stage],
        seed: int | None = None,
        **kwargs: Unpack[KerasOptions],
    ):
        require_tensorflow("its step, which mixes hidden features", f"{IN_THE_DATA_STAGE}, which mixes its inputs")
        names = _checked_names(layers)
        mixes = _mixes_at(names, mix)
        super().__init__(model, mixes, "mix", seed, **kwargs)
        _require_gradients(names, mixes)
        self.mix_layers = names
        self.mix = dict(mix) if isinstance(mix, Mapping) else mix
        if INPUT in self.mix_layers:
            require_floating_inputs(model, self._mix_at(INPUT))
            specs = input_specs(model)
            averaged = averaged_inputs(self._mix_at(INPUT), specs)
            require_no_lookups(model, specs, averaged, "mixed", _WITHOUT_INPUT)
        self._parts = _Untracked(parts_of(model, self.mix_layers))
        self._current = threading.local()
        self.supports_jit = all(mixer.supports_jit for mixer in self.mixers)

    @property
    def mixers(self) -> list[Stage]:
        """The layers that mix, one for each of the places."""
        return [self._mix_at(name) for name in self.mix_layers]

    def _mix_at(self, name: str) -> Stage:
        return self.mix if isinstance(self.mix, Stage) else self.mix[name]

    def call(self, x: Any, training: bool | None = None) -> Any:
        step = self._step
        if step is None:
            return self.model(x, training=training)
        features, mask = x, None
        for place, part in enumerate(self._parts.value):
            features, mask = part.run(features, mask)
            if part.end is not None:
                features, mask = step.at(place, features, mask)
        return features

    def train_step(self, data: Any) -> dict[str, Any]:
        compiled = bool(self.jit_compile)
        if compiled:
            with _checks.speaking_as(self):
                self._require_compilable()
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        number, seed = self._counter.next()
        options = {"training": True, "seed": seed, "step": number}
        drawn = draw_place(seed, len(self.mix_layers))
        # In the order in which the batch comes to them, which need not be that of the names.
        mixes = [self._mix_at(part.end) for part in self._parts.value if part.end is not None]
        step = (CompiledStep if compiled else MixingStep)(mixes, drawn, y, sample_weight, options)
        with self._stepping(step), self._told.counting():
            # Keras' own step, so that whatever it does for losses, metrics and scaling is done.
            return super().train_step((x, y, sample_weight))

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> tf.Tensor:
        y, sample_weight = self._counted(x, y, sample_weight)
        options = {"training": training} if IS_KERAS_3 else {}
        return super().compute_loss(x, y, y_pred, sample_weight, **options)

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, Any]:
        y, sample_weight = self._counted(x, y, sample_weight)
        return super().compute_metrics(x, y, y_pred, sample_weight)

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "model": keras.saving.serialize_keras_object(self.model),
            "layers": list(self.mix_layers),
            "mix": self._saved_mix(),
            "seed": self._counter.seed,
        }

    def _saved_mix(self) -> Any:
        if isinstance(self.mix, Stage):
            return keras.saving.serialize_keras_object(self.mix)
        return {name: keras.saving.serialize_keras_object(self.mix[name]) for name in self.mix_layers}

    def _require_compilable(self) -> None:
        for mixer in self.mixers:
            require_compilable(mixer)
        counts = {mixer.mixtures or 1 for mixer in self.mixers}
        if len(counts) > 1:
            raise _checks.problem(
                "jit_compile=True needs as many interpolations at each place. Received: a mix with "
                f"{' and one with '.join(map(str, sorted(counts)))}."
            )

    @property
    def _step(self) -> MixingStep | None:
        # Of this thread: a distribution strategy traces each replica in a thread of its own, and by turns.
        return getattr(self._current, "step", None)

    @contextlib.contextmanager
    def _stepping(self, step: MixingStep) -> Iterator[None]:
        self._current.step = step
        try:
            yield
        finally:
            self._current.step = None

    def _counted(self, x: Any, y: Any, sample_weight: Any) -> tuple[Any, Any]:
        """Targets and weights that count: the mixed ones in a training step, otherwise converted as the mix does."""
        step = self._step
        if step is not None:
            return step.y, step.sample_weight
        # Names of leaves mean those of the inputs, of which others need not be such as can be mixed.
        features = x if INPUT in self.mix_layers or y is None else tf.zeros([tf.shape(tf.nest.flatten(y)[0])[0], 1])
        return converted(self.mixers[0], features, y, sample_weight)


def _require_gradients(names: list[str], mixes: list[Stage]) -> None:
    """Refuses, in hidden layers, blends through which no gradient reaches the layers before."""
    for name, mixer in zip(names, mixes if len(mixes) > 1 else mixes * len(names), strict=True):
        for member in mixer.members():
            if name != INPUT and member.blend.stops_gradients:
                raise _checks.problem(
                    f"a blend that stops gradients is for layers=['input'], or none before it would be trained. "
                    f"Received: {member.blend.shown} at {name!r}."
                )


class _Untracked:
    """Holds what Keras should not count or save again: parts, which share the layers of the whole."""

    def __init__(self, value: Any):
        self.value = value


def _checked_names(layers: Any) -> list[str]:
    is_sequence = isinstance(layers, Sequence) and not isinstance(layers, str)
    if not is_sequence or not layers or not all(isinstance(name, str) for name in layers):
        rule = f"a list of names of the model's layers, or {INPUT!r}"
        _checks.refuse("layers", rule, layers, ValueError if is_sequence else TypeError)
    if len(set(layers)) < len(layers):
        _checks.refuse("layers", "different names, since they are drawn alike often", layers)
    return list(layers)


def _mixes_at(names: list[str], mix: Any) -> list[Stage]:
    """The mix at each place.

    Raises:
        ValueError: for a dictionary of other names, or of mixes that make different targets.
    """
    if not isinstance(mix, Mapping):
        return [mix]
    if sorted(mix) != sorted(names):
        _checks.refuse("mix", f"a MixLayer, or a dictionary of one for each of {names}", sorted(mix))
    mixes = [mix[name] for name in names]
    for option in ("num_classes", "targets"):
        values = [getattr(each, option, None) for each in mixes]
        if any(value != values[0] for value in values):
            raise _checks.problem(f"the mixes at all places must agree in {option}. Received: {values}.")
    return mixes
