"""The general layer: one mix is four decisions."""

from collections.abc import Callable, Sequence
from typing import Any, Unpack

import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._compat import register
from kmix_tf._graph import after
from kmix_tf._paths import as_selectors
from kmix_tf.backends import is_asked_on_host, of_any_back_end
from kmix_tf.batch.batch import Batch, read, require_alike
from kmix_tf.batch.box_options import checked_box_options
from kmix_tf.batch.categories import Once, warn_of_integers
from kmix_tf.batch.class_weights import ClassWeights
from kmix_tf.batch.door import require_arrays
from kmix_tf.batch.leaf import FEATURES, TARGETS, Rules
from kmix_tf.batch.one_dictionary import taken_apart
from kmix_tf.blend import BlendStrategy, LinearBlend, as_blend
from kmix_tf.label_shares.rules import LabelRules
from kmix_tf.layers.adaptation import Adaptation
from kmix_tf.layers.adapting import Adapts
from kmix_tf.layers.memory import require_memory
from kmix_tf.layers.options import (
    KerasOptions,
    checked_adapted,
    checked_callable,
    checked_classes,
    option_of,
    require_counts_that_fit,
    require_nothing_else,
    require_one_batch,
    require_pairs,
)
from kmix_tf.layers.stage import Stage
from kmix_tf.mixing.apply import apply, unmixed
from kmix_tf.mixing.draw import Decisions, MixPlan, Sides, draw, probability_of, with_ratio
from kmix_tf.mixing.measure import measure, reduced
from kmix_tf.mixing.weighting import of_what_is_there
from kmix_tf.pairing import RandomPairing, as_pairing
from kmix_tf.ratio import BetaRatio, as_ratio
from kmix_tf.reduction import FULL, Reduction, as_match_at
from kmix_tf.seeding import SeedStream
from kmix_tf.weight import EqualWeight, as_weight

PACKINGS = ("mixed", "packed")


@register
class MixLayer(Adapts, Stage):
    """Mixes the samples of a batch, and their targets, by four decisions that combine freely.

    Example:
        >>> layer = MixLayer(pairing=RandomPairing(), ratio=BetaRatio(alpha=0.4, scope="sample"))
        >>> x, y = layer(tf.random.uniform([4, 8, 8, 1]), tf.eye(4), seed=3)
        >>> x.shape, y.shape
        (TensorShape([4, 8, 8, 1]), TensorShape([4, 4]))
        >>> boxes = {"boxes": tf.constant([[[0.0, 0, 4, 4]], [[2.0, 2, 8, 8]]]), "labels": tf.constant([[7], [9]])}
        >>> mixed = MixLayer()({"images": tf.random.uniform([2, 8, 8, 1]), "bounding_boxes": boxes})
        >>> mixed["bounding_boxes"]["labels"].numpy().tolist()
        [[7, 9], [9, 7]]

    Args:
        pairing: who is mixed with whom; default `RandomPairing()`. Any callable `(features, seed)` that returns
            `Pairing(partner, group)`; see `PairingStrategy` for what it may declare.
        ratio: how much of each; default `BetaRatio(alpha=1.0)`. Any callable `(group, seed) -> float (batch,)` in
            [0, 1], or `(mixtures, batch)`; see `RatioStrategy` for what it may declare.
        blend: how two inputs are combined; default `LinearBlend()`. Any callable
            `(first, second, partner, ratio, seed) -> Blended`, on lists of feature tensors; see `BlendStrategy` for
            what it may declare.
        weight: what a mixture counts in the loss; default `EqualWeight()`. Any callable
            `(first, second, partner) -> float, >= 0`, of the partners' shape, or None; see `WeightStrategy`.
        num_classes: turns integer labels into soft labels of that many classes; a structure like the targets'
            where there are several. Float targets (one-hot, soft, multi-hot, regression) need none.
        class_weight: what each class counts: a dictionary of numbers >= 0 by class (1 for those left out) or a list
            of one for each class; a structure like the targets' where there are several, with None for those without
            classes. In training it becomes the sample weight of each label, or a factor of it. Default None: all
            alike. (`fit(class_weight=...)` on a mixed dataset takes each mixture for its largest class; in
            `MixModel.fit` it does what is said here.)
        label_shares: which share each sample has in the label, such as `RemixShares(counts)` for long tails; any
            callable `(first, second, ratio) -> ratios`, see `LabelShareStrategy`; a structure like the targets' where
            there are several, with None for those that follow the ratio. Default None: all do.
        features_only: True allows features without targets. Otherwise they are refused, because mixing inputs
            and leaving labels as they are would be wrong without any sign of it.
        targets: "mixed" (default), or "packed" for `LocalMixupLoss`: both targets, ratio and weight in one tensor.
        probability: that a batch is mixed at all, in [0, 1], default 1.
        schedule: a callable of the step by which `probability` is multiplied, such as `MixSchedule`, or None.
        match_on: names of the features that distances are measured on; default all that are mixed. A name is a
            key, or keys and positions joined by "/".
        embedding: a callable or Keras model, applied to these features; distances are measured on what it returns.
            A model is asked as in inference; on another back end than TensorFlow on the host, as it is when the batch
            comes, but JAX must not be training it. Its weights are saved with the layer in `.keras` files, but not in
            `get_config`. Pipelines with it read variables: to checkpoint their iterators, set
            `tf.data.Options.experimental_external_state_policy` to IGNORE.
        match_at: at which resolution distances are measured. "full" (default): on every number. `Pooled(window)` for
            images and spectrograms, `Projected(columns)` for wide tables: distances of pairs, ratios and weights are
            then those of pooled or projected features, and cost a fraction.
        passthrough: names of features or targets that ride along, of any dtype, and come back as they are: token ids
            and categories, say, whose averages mean nothing.
        masks: names of boolean features that say which elements are there, as in padded sequences; a mixture has
            those of both samples. In targets `(batch, *elements, ...)` absent elements do not count: each place has
            the target of the sample that has it. Sample weights say by how much; without any, none are made.
        bounding_box_format: how bounding boxes are written, which blends that paste must know to cut them: "xyxy",
            "yxyx", "xywh", "center_xywh", "center_yxhw", or one of them in units of the image's sides, such as
            "rel_xyxy". Default None: unknown.
        box_visibility: of an object in part covered, the least part of its box's area that must be seen for it to be
            kept, in [0, 1], default 0.1. What is seen of nothing is never kept.
        box_weights: True adds "box_weights" `(batch, n)` to boxes: what each counts, of the mixture and the weights
            that came; 0 for padding. Default False.
        adapted: what `adapt` learnt, as `get_config` gives it.
        seed: an integer for a repeatable stream of draws in a sequential pipeline, or None. For parallel
            pipelines and checkpoints, use `kmix_tf.mix(layer, seed=...)`. A copy of the layer, by `copy.deepcopy`,
            pickle or `from_config`, begins anew: with a seed it repeats these draws, without one it has its own.

    Call:
        `layer(x, y=None, sample_weight=None, training=None, seed=None, step=None, saliency=None)`, by hand or by
        `dataset.map(layer)`.
        x, y, sample_weight: numeric tensors `(batch, ...)`, or dicts, lists and tuples of them; also NumPy's, JAX's
        and torch's arrays, for which those of Keras' back end come back, but tensors in a map. Returns as many
        of the three as came in, of the same structure and shape (labels made soft have one more axis), and
        `sample_weight` besides where there are weights, one for each target. Features come back in their own float
        dtype, integer and boolean ones in float32; targets and weights in float32, or float64 if they came so.
        Samples count by their weights: a mixture of ratio r has the weight w = r w_a + (1 - r) w_b and the target
        (r w_a y_a + (1 - r) w_b y_b) / w. So a loss that is linear in the target, such as cross-entropy, is
        r w_a loss(a) + (1 - r) w_b loss(b), squared error but for a constant, and any loss if targets are packed.
        Other losses, such as absolute or Huber, need packed targets for this. Weights of places, `(batch, steps)` or
        `(batch, height, width)`, count place by place, and pasted maps get weights of places. The
        i-th result is mostly the i-th sample where ratios are near 1. With K interpolations, results are K x batch
        long: result k * batch + i is mixture k of sample i.
        One dictionary, as Keras' own layers take it, is taken and given as well: "images" with "labels",
        "bounding_boxes" or "segmentation_masks", which are targets, and nothing else but what rides along.
        Bounding boxes come as {"boxes": (batch, n, 4), "labels": (batch, n)} in features or targets, "classes" for
        "labels" in KerasCV, ragged or padded with class -1. A mixture has those of both samples, its own first,
        `(batch, 2 n, 4)` and `(batch, 2 n)`; what is not seen becomes padding: class -1, box 0. Classes of objects
        stay integers. Whatever else stands beside them is of objects, too, `(batch, n, ...)`, and goes with them.
        Without training there are n of them.
        training: False only converts, so that evaluation data look like training data: for a map of those there is
            `layer.for_evaluation()`. None means True, also in a map; but inside a
            model, which says whether it trains, what the model says, and False if it says nothing.
        seed: an integer or a pair; the same seed and batch give the same mixture. Default: the layer's stream.
        step: an integer scalar, the number of batches before this one, for `schedule`.
        saliency: float `(batch, *axes)`, >= 0: how much each place of the image matters, for blends that ask for it,
            such as `PuzzleMixBlend`. Default: what the blend's own source says.

    Raises:
        ValueError, TypeError: at construction or when first called, for anything said above that does not hold.
        InvalidArgumentError: on the batch in question, for values that only show then: NaN, labels out of range.

    Warns:
        UserWarning: once, if integer features are averaged that may be token ids or categories.

    Source: k-mixup, Section 2, for what the four decisions have in common.
    """

    @_checks.speaks
    def __init__(
        self,
        pairing: Callable | None = None,
        ratio: Callable | None = None,
        blend: Callable | None = None,
        weight: Callable | None = None,
        *,
        num_classes: Any = None,
        class_weight: Any = None,
        label_shares: Any = None,
        features_only: bool = False,
        targets: str = "mixed",
        probability: float = 1.0,
        schedule: Callable | None = None,
        match_on: Any = None,
        embedding: Callable | None = None,
        match_at: str | Reduction = "full",
        passthrough: Any = None,
        masks: Any = None,
        bounding_box_format: str | None = None,
        box_visibility: float = 0.1,
        box_weights: bool = False,
        adapted: dict[str, Any] | None = None,
        seed: int | None = None,
        **kwargs: Unpack[KerasOptions],
    ):
        super().__init__(**kwargs)
        self.pairing = as_pairing(RandomPairing() if pairing is None else pairing)
        self.ratio = as_ratio(BetaRatio() if ratio is None else ratio)
        self.blend = as_blend(LinearBlend() if blend is None else blend)
        self.weight = as_weight(EqualWeight() if weight is None else weight)
        self.schedule = checked_callable("schedule", schedule, "(step) -> probability")
        self.embedding = checked_callable("embedding", embedding, "(features) -> tensor")
        # Keras saves the weights of models that are attributes of the layer itself.
        self.saliency_model = getattr(getattr(self.blend, "saliency", None), "model", None)
        self.blend_models = list(self.blend.models)
        self.num_classes = checked_classes(num_classes)
        self._class_weight = ClassWeights(class_weight, self.num_classes)
        self._label_rules = LabelRules(label_shares, self.num_classes)
        self._rules = self._label_rules or None
        self.features_only = _checks.flag("features_only", features_only)
        self.targets = _checks.choice("targets", targets, PACKINGS)
        self.probability = _checks.probability("probability", probability)
        self.seed = None if seed is None else _checks.integer("seed", seed, minimum=0)
        self.match_on = as_selectors("match_on", match_on)
        self.match_at = as_match_at(match_at)
        self.passthrough = as_selectors("passthrough", passthrough)
        self.masks = as_selectors("masks", masks)
        self._boxes = checked_box_options(bounding_box_format, box_visibility, box_weights)
        require_nothing_else(self)
        require_counts_that_fit(self.pairing, self.ratio)
        require_pairs(self.pairing, ratio=self.ratio, blend=self.blend)
        self._adaptation = Adaptation(**checked_adapted(adapted))
        self._stream = SeedStream(self.seed)
        self._first_integers = Once()
        self.supports_jit = not self.runs_on_host
        self.built = True

    @property
    def decisions(self) -> Decisions:
        """The four decisions of this mix; with the alpha that `adapt` learnt, where it did."""
        ratio, alpha = self.ratio, self._adaptation.alpha
        if alpha is not None and isinstance(ratio, BetaRatio):
            ratio = BetaRatio(alpha, ratio.scope, ratio.interpolations)
        return Decisions(self.pairing, ratio, self.blend, self.weight)

    @property
    def class_weight(self) -> Any:
        """What each class counts, of plain numbers; None if all count alike."""
        return self._class_weight.given

    bounding_box_format = option_of("_boxes", "bounding_box_format")
    box_visibility = option_of("_boxes", "box_visibility")
    box_weights = option_of("_boxes", "box_weights")

    @property
    def label_shares(self) -> Any:
        """The rule for shares in labels, or a structure of rules; None if labels follow the ratio."""
        return self._label_rules.given

    @property
    def runs_on_host(self) -> bool:
        """Whether a part of the mix calls back to the host, where XLA cannot follow: `solver="host"`."""
        return self.decisions.runs_on_host or self._label_rules.runs_on_host or is_asked_on_host(self.embedding)

    def members(self) -> list["MixLayer"]:
        """The mixes that a batch may go through: this one."""
        return [self]

    @property
    def mixtures(self) -> int | None:
        """How many mixtures of each sample are made; None for one, without an axis of its own."""
        return self.decisions.mixtures

    def converted(self, x: Any, y: Any = None, sample_weight: Any = None) -> tuple[list[tf.Tensor], Any]:
        """A batch to train on that is not mixed, and those of its tensors that would be, to differentiate by."""
        batch = of_what_is_there(self._read(x, y, sample_weight, training=False, by_class=y is not None))
        batch = unmixed(batch, self._is_packed)
        return batch.tensors(FEATURES), batch.write()

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
        blend: BlendStrategy | None = None,
        ratio: Callable | None = None,
    ) -> Any:
        """What a call gives, without Keras around it.

        Args:
            allowed: a bool scalar tensor, False for a batch that is not to be mixed, whatever else says it is.
            mask: boolean `(batch, *elements)`, which elements of x are there; then `(x, mask)` comes back for x, with
                the mask of the mixtures. Distances are not measured on it.
            blend: one for this batch instead of the layer's own, as that of `AutoMixModel`, which a step makes.
            ratio: gives this batch's ratios, of its features and the plan that was drawn, in place of those in it.
        """
        with _checks.speaking_as(self):
            batch = self._read(x, y, sample_weight, training)
            if not trains(training):
                return unmixed(batch, self._is_packed).write()
            decisions, packed = self.decisions, self._is_packed
            decisions = decisions if blend is None else decisions._replace(blend=blend)
            self._warn_of_integers(batch)
            drawn = draw(decisions, self._sides(batch), self._seed(seed, batch), self._chance(step, allowed))
            drawn = drawn if ratio is None else with_ratio(drawn, ratio(batch.tensors(FEATURES), drawn.plan))
            if mask is not None:
                batch = batch.with_mask(mask)
            return apply(batch, batch, drawn, decisions.blend, packed, saliency, self._rules).write()

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
        """Mixes each sample of `first` with one of `second`, a batch of the same shape from another loader.

        Args:
            first, second: `(x, y)` or `(x, y, sample_weight)`, or x alone where `features_only`. Groups are
                taken in the order in which samples come, so shuffle both loaders. The ratio is `first`'s share.
            training, seed, step: as when the layer is called. allowed: as in `mixed`.

        Returns:
            A mixed batch with the structure of `first`.

        Raises:
            ValueError: if the two differ in structure, dtype or shape.

        Source: k-mixup, Figure 5, in which two loaders are zipped.

        Example:
            >>> layer = MixLayer()
            >>> first = second = (tf.zeros([4, 2]), tf.zeros([4]))
            >>> x, y = layer.between(first, second)
        """
        require_one_batch(self.blend)
        for side in (first, second):
            require_arrays(*_three(side))
        ours, theirs = (self._read(*_three(side), training) for side in (first, second))
        theirs = require_alike(ours, theirs)
        if not trains(training):
            return unmixed(ours, self._is_packed).write()
        decisions = self.decisions
        self._warn_of_integers(ours)
        drawn = draw(decisions, self._sides(ours, theirs), self._seed(seed, ours), self._chance(step, allowed))
        return apply(ours, theirs, drawn, decisions.blend, self._is_packed, rules=self._rules).write()

    @of_any_back_end
    @_checks.speaks
    def plan(self, features: Sequence[tf.Tensor], seed: Any, targets: Any = None, step: Any = None) -> MixPlan:
        """Draws partners and ratios for a batch, a deterministic function of its features and the seed.

        `features` is a flat list of numeric tensors `(batch, ...)` to measure distances on; `targets` those of the
        batch, for pairings by class. `match_at` reduces features here as in a call. A sample that is its own
        partner, as in a batch of one, gets ratio 1 and stays exactly what it is.
        """
        features = [tf.convert_to_tensor(leaf) for leaf in features]
        sides = reduced(Sides(features, features, targets), self.match_at, self.decisions)
        return draw(self.decisions, sides, seed, self._chance(step)).plan

    def _sides(self, ours: Batch, theirs: Batch | None = None) -> Sides:
        """What distances are measured on, of a batch with itself or of two."""
        first = self._measured(ours)
        # Tensors of their own, even where a batch is mixed with itself: no row is its own neighbour here.
        second = first if theirs is None else [tf.identity(leaf) for leaf in self._measured(theirs)]
        sides = Sides(first, second, ours.part(TARGETS) if theirs is None else None)
        return sides if self.match_at == FULL else reduced(sides, self.match_at, self.decisions)

    def _measured(self, batch: Batch) -> list[tf.Tensor]:
        """What distances are measured on before `match_at` reduces it: the features, if nothing else is said."""
        scales = self._adaptation.scales
        if not self.match_on and self.embedding is None and scales is None:
            return batch.tensors(FEATURES)
        return measure(batch, self.match_on, self.embedding, scales)

    def _read(self, x: Any, y: Any, sample_weight: Any, training: bool | None, by_class: bool | None = None) -> Batch:
        features_only = self.features_only or not trains(training)
        by_class = trains(training) if by_class is None else by_class
        class_weight = self._class_weight if by_class and self.class_weight is not None else None
        rules = Rules(
            self.num_classes, self.passthrough, self.masks, self._is_packed, features_only, class_weight, self._boxes
        )
        if y is None and self.takes_apart(x):
            x, y, keys = taken_apart(x)
            return read(x, y, sample_weight, rules)._replace(keys=keys)
        return read(x, y, sample_weight, rules)

    @property
    def mixes(self) -> bool:
        """Whether anything is ever mixed: not with a probability or an alpha of 0."""
        return self.probability > 0 and getattr(self.ratio, "alpha", None) != 0

    def _warn_of_integers(self, batch: Batch) -> None:
        if self.mixes and any(leaf.part == FEATURES and leaf.tensor.dtype.is_integer for leaf in batch.leaves):
            remedy = (
                "name them in passthrough=, or mix what an embedding makes of them, by "
                f"ManifoldMixModel(model, ['embedding'], {type(self).__name__}(...))."
            )
            warn_of_integers(self._first_integers, batch.leaves, self.blend.pasted_axes, remedy)

    def _seed(self, seed: Any, batch: Batch) -> Any:
        """The seed of this mix, available only once memory is known to hold as many mixtures."""
        seed, count = self._stream.next() if seed is None else seed, self.decisions.mixtures
        if count is None:
            return seed
        return after(require_memory(batch.tensors(FEATURES), count), [tf.convert_to_tensor(seed)])[0]

    def _chance(self, step: Any, allowed: Any = None) -> Callable | None:
        return probability_of(self.probability, self.schedule, step, allowed)

    @property
    def _is_packed(self) -> bool:
        return self.targets == "packed"


def _three(side: Any) -> tuple[Any, Any, Any]:
    """x, y and sample_weight of a batch, None for what is not there."""
    x, y, sample_weight = (*side, None, None)[:3] if isinstance(side, tuple) else (side, None, None)
    return x, y, sample_weight


def trains(training: Any) -> bool:
    """Whether a layer that is told so trains: unless it is told otherwise, it does."""
    return training is None or bool(training)
