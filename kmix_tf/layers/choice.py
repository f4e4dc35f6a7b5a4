"""One of several mixes, drawn for each batch or each sample."""

from collections.abc import Callable, Sequence
from typing import Any, Unpack

import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._compat import register
from kmix_tf.backends import of_any_back_end
from kmix_tf.blend import LinearBlend
from kmix_tf.layers.choosing import Given, choice_seeds, complete, draw_numbers, taken
from kmix_tf.layers.entries import checked_entries, checked_probabilities, require_agreement, shared_option
from kmix_tf.layers.options import KerasOptions, checked_callable
from kmix_tf.layers.stage import Stage
from kmix_tf.mixing.draw import probability_of
from kmix_tf.ratio import BetaRatio
from kmix_tf.seeding import SeedStream, as_seed

PER = ("batch", "sample")


@register
class ChoiceLayer(Stage):
    """Mixes each batch by one of several layers, drawn anew: mixup or CutMix, say, as most recipes for images do.

    It goes wherever a mix goes: `dataset.map(choice)`, `mix(choice, seed)`, `MixModel(model, choice)`, and into
    another choice.

    Args:
        layers: a list of mix layers, of which `None` stands for leaving the batch as it is. They agree in
            `num_classes`, `class_weight`, `features_only`, `targets`, `passthrough`, `masks` and in how many mixtures
            they make of a sample. Their own `probability` and `schedule` hold as well: a layer with probability 0.5
            that is chosen leaves every other batch as it is. Their own seeds do not count.
        probabilities: how likely each is chosen, numbers >= 0 that sum to 1, one for each of `layers`; default None:
            all alike.
        per: "batch" (default): one layer mixes the whole batch, and only that one runs. "sample": one is drawn for
            each sample, as in timm's mode "elem"; all layers then mix the whole batch, each at its full cost, and of
            each sample the mixture of its layer is taken. It changes nothing for the layers: their ratios are still
            one for the batch, unless they have scope "sample", and weights have mean 1 in what each layer makes.
        probability: that a batch (or with per="sample", a sample) is mixed at all, in [0, 1], default 1.
        schedule: a callable of the step by which `probability` is multiplied, such as `MixSchedule`, or None.
        seed: an integer for a repeatable stream of draws, or None; see `MixLayer`.

    Call:
        As `MixLayer`. Returns what the layers do; with weights of samples where any of them weighs its mixtures, and
        then 1 for those of the others. `saliency` is for the layers that ask for it and have no source of their own.
        With `training=False`, nothing is drawn and nothing is mixed.

    Raises:
        TypeError, ValueError: for arguments that are not as said above, naming what differs; on a call, where layers
            give results of different structures, dtypes or shapes.

    Source: none of the papers; timm's `switch_prob` and torchvision's and KerasCV's `RandomChoice` are such choices.

    Example:
        >>> choice = ChoiceLayer([KMixupLayer(1, 0.8, num_classes=10), CutMixLayer(num_classes=10)], [0.5, 0.5])
        >>> x, y = choice(tf.random.uniform([4, 8, 8, 3]), tf.constant([3, 1, 4, 1]), seed=0)
        >>> x.shape, y.shape
        (TensorShape([4, 8, 8, 3]), TensorShape([4, 10]))
    """

    @_checks.speaks
    def __init__(
        self,
        layers: Sequence[Stage | None],
        probabilities: Sequence[float] | None = None,
        *,
        per: str = "batch",
        probability: float = 1.0,
        schedule: Callable | None = None,
        seed: int | None = None,
        **kwargs: Unpack[KerasOptions],
    ):
        super().__init__(**kwargs)
        entries = checked_entries(layers)
        self._probabilities = tuple(checked_probabilities(probabilities, len(entries)))
        # A list of layers, so that Keras saves the weights of models in them.
        self._mixes = [entry for entry in entries if entry is not None]
        self._is_mix = tuple(entry is not None for entry in entries)
        require_agreement(self._mixes)
        self.per = _checks.choice("per", per, PER)
        self.probability = _checks.probability("probability", probability)
        self.schedule = checked_callable("schedule", schedule, "(step) -> probability")
        self.seed = None if seed is None else _checks.integer("seed", seed, minimum=0)
        self._stream = SeedStream(self.seed)
        self.supports_jit = not self.runs_on_host
        self.built = True

    @property
    def layers(self) -> list[Stage | None]:
        """What is chosen from; None stands for leaving the batch as it is."""
        mixes = iter(self._mixes)
        return [next(mixes) if is_mix else None for is_mix in self._is_mix]

    @property
    def probabilities(self) -> list[float]:
        """How likely each of `layers` is chosen."""
        return list(self._probabilities)

    @property
    def shares(self) -> list[tuple[Stage, float]]:
        """Each layer that mixes, and how likely it is chosen, but for schedules: less than 1 in all where some
        batches are left as they are."""
        chances = [chance for chance, is_mix in zip(self._probabilities, self._is_mix, strict=True) if is_mix]
        return [(layer, chance * self.probability) for layer, chance in zip(self._mixes, chances, strict=True)]

    def members(self) -> list[Any]:
        return [member for layer in self._mixes for member in layer.members()]

    @property
    def mixtures(self) -> int | None:
        return self._mixes[0].mixtures

    @property
    def is_scheduled(self) -> bool:
        return self.schedule is not None or any(layer.is_scheduled for layer in self._mixes)

    @property
    def runs_on_host(self) -> bool:
        """Whether any of the layers calls back to the host, where XLA cannot follow."""
        return any(layer.runs_on_host for layer in self._mixes)

    num_classes = shared_option("num_classes")
    class_weight = shared_option("class_weight")
    features_only = shared_option("features_only")
    targets = shared_option("targets")
    passthrough = shared_option("passthrough")
    masks = shared_option("masks")

    @tf.autograph.experimental.do_not_convert
    def mixed(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        training: bool | None = None,
        seed: Any = None,
        step: Any = None,
        saliency: Any = None,
        allowed: Any = None,
        mask: Any = None,
    ) -> Any:
        """What a call gives, without Keras around it; see `Stage.mixed`."""
        with _checks.speaking_as(self):
            if training is not None and not training:
                return self._mixes[0].mixed(x, y, sample_weight, training)
            told = self._told_of(saliency)

            def mix(number: int, seed: tf.Tensor, allowed: Any) -> Any:
                layer = self._mixes[number]
                return layer.mixed(x, y, sample_weight, training, seed, step, told[number], allowed, mask)

            return self._chosen(mix, (y, sample_weight), seed, self._chance(step, allowed))

    @of_any_back_end
    @tf.autograph.experimental.do_not_convert
    @_checks.speaks
    def between(
        self,
        first: Any,
        second: Any,
        training: bool | None = None,
        seed: Any = None,
        step: Any = None,
        allowed: Any = None,
    ) -> Any:
        """Mixes each sample of `first` with one of `second`, by a layer that is drawn; see `MixLayer.between`."""
        if training is not None and not training:
            return self._mixes[0].between(first, second, training)

        def mix(number: int, seed: tf.Tensor, allowed: Any) -> Any:
            return self._mixes[number].between(first, second, training, seed, step, allowed)

        came = (*first[1:], None, None)[:2] if isinstance(first, tuple) else (None, None)
        return self._chosen(mix, came, seed, self._chance(step, allowed))

    def converted(self, x: Any, y: Any = None, sample_weight: Any = None) -> tuple[list[tf.Tensor], Any]:
        """A batch to train on that is not mixed; see `Stage.converted`."""
        return self._mixes[0].converted(x, y, sample_weight)

    @_checks.speaks
    def adapt(self, data: Any, match_alpha: bool = False, **options: Any) -> None:
        """Adapts each of the layers to data, which are gone through once for each; see `MixLayer.adapt`.

        Args:
            match_alpha: whether to match the alpha of those whose ratios are drawn from Beta. data, options: as in
                `MixLayer.adapt`.

        Raises:
            ValueError: as `MixLayer.adapt`; with `match_alpha` where no layer draws its ratios from Beta.
        """
        has_alpha = [any(isinstance(each.ratio, BetaRatio) for each in layer.members()) for layer in self._mixes]
        if match_alpha and not any(has_alpha):
            _checks.refuse("match_alpha", "False where no layer draws its ratios from Beta", match_alpha)
        for layer, matches in zip(self._mixes, has_alpha, strict=True):
            adapt: Any = layer
            adapt.adapt(data, match_alpha=match_alpha and matches, **options)

    def _chosen(self, mix: Callable, came: tuple[Any, Any], seed: Any, chance: Callable | None) -> Any:
        """The mixture of the layer that is drawn.

        Args:
            mix: given the number of a layer, its seed and whether it may mix, what it gives.
            came: targets and weights of samples, as they came.
        """
        seeds = choice_seeds(as_seed(self._stream.next() if seed is None else seed), len(self._mixes))
        y, sample_weight = came
        given = Given(y is not None and (sample_weight is not None or self._weighs), self.targets == "packed")
        branches = [self._branch(mix, given, number, seeds.layers[number]) for number in range(len(self._mixes))]
        if chance is not None or not all(self._is_mix):
            branches.append(
                self._branch(mix, given, self._plainest, seeds.layers[self._plainest], tf.constant(False))
            )
        shares = [share for share, is_mix in zip(self._probabilities, self._is_mix, strict=True) if is_mix]
        draw = draw_numbers(shares, seeds.choice, chance)
        names = [type(layer).__name__ for layer in self._mixes]
        return taken(draw, branches, self.per == "sample", self.mixtures or 1, names)

    def _branch(self, mix: Callable, given: Given, number: int, seed: tf.Tensor, allowed: Any = None) -> Callable:
        return lambda: complete(mix(number, seed, allowed), given)

    def _chance(self, step: Any, allowed: Any) -> Callable | None:
        return probability_of(self.probability, self.schedule, step, allowed)

    @property
    def _weighs(self) -> bool:
        """Whether any layer may give weights of samples that did not come."""
        if self.targets == "packed":
            return False
        return self.class_weight is not None or not all(member.weight.counts_alike for member in self.members())

    @property
    def _plainest(self) -> int:
        """The number of the layer that leaves batches as they are: one whose blend takes little time."""
        are_linear = [all(isinstance(each.blend, LinearBlend) for each in layer.members()) for layer in self._mixes]
        return are_linear.index(True) if True in are_linear else 0

    def _told_of(self, saliency: Any) -> list[Any]:
        """The saliency that each layer is told: those that ask for it without a source of their own; or, if there are
        none, all that ask."""
        if saliency is None:
            return [None] * len(self._mixes)
        asking = [[each for each in layer.members() if each.blend.needs_saliency] for layer in self._mixes]
        without = [any(getattr(each.blend, "saliency", None) is None for each in members) for members in asking]
        told = without if any(without) else [bool(members) for members in asking]
        if not any(told):
            _checks.refuse("saliency", "None for a choice of layers that ask for none", saliency)
        return [saliency if is_told else None for is_told in told]
