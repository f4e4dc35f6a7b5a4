"""The general layer: one mix is four decisions."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._compat import in_inference_of_a_model, register, require_tensorflow_backend
from kmix_tf.batch import Batch, Rules, prepare, require_alike
from kmix_tf.batch.leaves import warn_of_channels_first
from kmix_tf.batch.selection import as_selectors
from kmix_tf.blend import LinearBlend
from kmix_tf.layers.adaptation import Adaptation, column_scales, matched_alpha, with_progress
from kmix_tf.layers.arguments import Names, checked_classes, require_counts_that_fit, require_targets, serialized
from kmix_tf.layers.chance import draw_or_keep, is_mixed, keep_alone, mixtures_of_each
from kmix_tf.layers.memory import require_memory
from kmix_tf.layers.plan import MixPlan, apply_plan, drawn_ratio, pair_weights, unmixed
from kmix_tf.layers.salience import told_saliency
from kmix_tf.layers.weighting import weighted
from kmix_tf.metric import Metric
from kmix_tf.pairing import Pairing, RandomPairing
from kmix_tf.ratio import BetaRatio
from kmix_tf.seeding import SeedStream, as_seed, split
from kmix_tf.weight import EqualWeight

STRATEGIES = ("pairing", "ratio", "blend", "weight")
TARGETS = ("mixed", "packed")


@register
class MixLayer(keras.layers.Layer):
    """Mixes the samples of a batch, and their targets, by four decisions that combine freely.

    Args:
        pairing: who is mixed with whom; default `RandomPairing()`. Any callable `(features, seed)` that returns
            `Pairing(partner, group)`; with an attribute `uses_targets = True`, `(features, seed, targets)`.
        ratio: how much of each; default `BetaRatio(alpha=1.0)`. Any callable `(group, seed) -> float (batch,)` in
            [0, 1], or `(interpolations, batch)`; then with an attribute `interpolations` if batches may stay unmixed.
        blend: how two inputs are combined; default `LinearBlend()`. Any callable
            `(first, second, partner, ratio, seed) -> Blended`, on lists of feature tensors. With an attribute
            `uses_saliency = True` it is told `saliency=(of_first, of_second)` besides, as `saliency_of(features,
            targets)`, a method of it, says; see `PuzzleMixBlend`.
        weight: what a mixture counts in the loss; default `EqualWeight()`. Any callable
            `(first, second, partner) -> float, >= 0`, of the partners' shape, or None.
        num_classes: turns integer labels into soft labels of that many classes; a structure like the targets'
            where there are several. Float targets (one-hot, soft, multi-hot, regression) need none.
        features_only: True allows features without targets. Otherwise they are refused, because mixing inputs
            and leaving labels as they are would be wrong without any sign of it.
        targets: "mixed" (default), or "packed" for `LocalMixupLoss`: both targets, ratio and weight in one tensor.
        probability: that a batch is mixed at all, in [0, 1], default 1.
        schedule: a callable of the step by which `probability` is multiplied, such as `MixSchedule`, or None.
        match_on: names of the features that distances are measured on; default all that are mixed. A name is a
            key, or keys and positions joined by "/".
        embedding: a callable or Keras model, applied to these features; distances are measured on what it returns.
            A model is asked as in inference. Its weights are saved with the layer in `.keras` files, but not in
            `get_config`. Pipelines with it read variables: to checkpoint their iterators, set
            `tf.data.Options.experimental_external_state_policy` to IGNORE.
        passthrough: names of features or targets that ride along, of any dtype, and come back as they are.
        masks: names of boolean features that say which elements are there, as in padded sequences; a mixture has
            those of both samples.
        adapted: what `adapt` learnt, as `get_config` gives it.
        seed: an integer for a repeatable stream of draws in a sequential pipeline, or None. For parallel
            pipelines and checkpoints, use `kmix_tf.mix(layer, seed=...)`.

    Call:
        `layer(x, y=None, sample_weight=None, training=None, seed=None, step=None, saliency=None)`, by hand or by
        `dataset.map(layer)`.
        x, y, sample_weight: numeric tensors `(batch, ...)`, or dicts, lists and tuples of them. Returns as many
        of the three as came in, of the same structure and shape (labels made soft have one more axis), and
        `sample_weight` besides where there are weights, one for each target. Features come back in their own float
        dtype, integer and boolean ones in float32; targets and weights in float32, or float64 if they came so. The
        i-th result is mostly the i-th sample where ratios are near 1. With K interpolations, results are K x batch
        long: result k * batch + i is mixture k of sample i.
        training: False only converts, so that evaluation data look like training data. None means True; but inside a
            model, which says whether it trains, what the model says, and False if it says nothing.
        seed: an integer or a pair; the same seed and batch give the same mixture. Default: the layer's stream.
        step: an integer scalar, the number of batches before this one, for `schedule`.
        saliency: float `(batch, *axes)`, >= 0: how much each place of the image matters, for blends that ask for it,
            such as `PuzzleMixBlend`. Default: what the blend's own source says.

    Raises:
        ValueError, TypeError: at construction or when first called, for anything said above that does not hold.
        InvalidArgumentError: on the batch in question, for values that only show then: NaN, labels out of range.

    Source: k-mixup, Section 2, for what the four decisions have in common.

    Example:
        >>> layer = MixLayer(pairing=RandomPairing(), ratio=BetaRatio(alpha=0.4, scope="sample"))
        >>> x, y = layer(tf.random.uniform([4, 8, 8, 1]), tf.eye(4), seed=3)
        >>> x.shape, y.shape
        (TensorShape([4, 8, 8, 1]), TensorShape([4, 4]))
    """

    def __init__(
        self,
        pairing: Callable | None = None,
        ratio: Callable | None = None,
        blend: Callable | None = None,
        weight: Callable | None = None,
        *,
        num_classes: Any = None,
        features_only: bool = False,
        targets: str = "mixed",
        probability: float = 1.0,
        schedule: Callable | None = None,
        match_on: Any = None,
        embedding: Callable | None = None,
        passthrough: Any = None,
        masks: Any = None,
        adapted: dict[str, Any] | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ):
        # Keras would cast labels along with features to the compute dtype; the layer casts what it should.
        super().__init__(autocast=False, **kwargs)
        owner = type(self).__name__
        require_tensorflow_backend(owner)
        self.pairing = _checks.function(owner, "pairing", pairing, RandomPairing())
        self.ratio = _checks.function(owner, "ratio", ratio, BetaRatio())
        self.blend = _checks.function(owner, "blend", blend, LinearBlend())
        self.weight = _checks.function(owner, "weight", weight, EqualWeight())
        self.schedule = _checks.function(owner, "schedule", schedule)
        self.embedding = _checks.function(owner, "embedding", embedding)
        # Keras saves the weights of models that are attributes of the layer itself.
        self.saliency_model = getattr(getattr(self.blend, "saliency", None), "model", None)
        require_counts_that_fit(owner, self.pairing, self.ratio)
        self.num_classes = checked_classes(owner, num_classes)
        self.features_only = _checks.flag(owner, "features_only", features_only)
        self.targets = _checks.choice(owner, "targets", targets, TARGETS)
        self.probability = _checks.probability(owner, "probability", probability)
        self.seed = None if seed is None else _checks.integer(owner, "seed", seed, minimum=0)
        self.names = Names(
            *(
                as_selectors(owner, name, value)
                for name, value in (("match_on", match_on), ("passthrough", passthrough), ("masks", masks))
            )
        )
        self._adaptation = Adaptation(**(adapted or {}))
        self._stream = SeedStream(self.seed)
        self.supports_jit = not self.runs_on_host
        self.built = True

    @property
    def runs_on_host(self) -> bool:
        """Whether a part of the mix calls back to the host, where XLA cannot follow: `solver="host"`."""
        return any(getattr(part, "runs_on_host", False) for part in (self.pairing, self.blend))

    @property
    def matched_alpha(self) -> float | None:
        """The alpha that `adapt(match_alpha=True)` learnt and ratios are drawn with; None if it did not."""
        return self._adaptation.alpha

    def converted(self, x: Any, y: Any = None, sample_weight: Any = None) -> tuple[list[tf.Tensor], Any]:
        """A batch as with `training=False`, and those of its tensors that would be mixed, to differentiate by."""
        batch = unmixed(self._prepare(x, y, sample_weight, training=False), self.targets == "packed")
        return batch.x, self._output(batch)

    def build(self, *shapes: Any, **named_shapes: Any) -> None:
        """Nothing to make: the layer has no weights of its own."""
        self.built = True

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        # By hand and in a map, None means training; as part of a model that was told nothing, as in its export, not.
        if len(args) < 4 and kwargs.get("training") is None and in_inference_of_a_model():
            kwargs["training"] = False
        return super().__call__(*args, **kwargs)

    @tf.autograph.experimental.do_not_convert
    def call(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        training: bool | None = None,
        seed: Any = None,
        step: Any = None,
        saliency: Any = None,
    ) -> Any:
        batch = self._prepare(x, y, sample_weight, training)
        if training is not None and not training:
            return self._output(unmixed(batch, self.targets == "packed"))
        batch = self._with_room(batch)
        features = self._metric(batch, self._adaptation.scales)
        y = batch.unflatten()[1]
        plan, mixed = self._drawn(features, lambda seed: self._paired(features, seed, y), seed, step)
        weight = pair_weights(self.weight, features, features, plan, mixed)
        return self._output(self._mixed(batch, batch, plan, weight, saliency))

    @tf.autograph.experimental.do_not_convert
    def between(
        self, first: Any, second: Any, training: bool | None = None, seed: Any = None, step: Any = None
    ) -> Any:
        """Mixes each sample of `first` with one of `second`, a batch of the same shape from another loader.

        Args:
            first, second: `(x, y)` or `(x, y, sample_weight)`, or x alone where `features_only`. Groups are
                taken in the order in which samples come, so shuffle both loaders. The ratio is `first`'s share.
            training, seed, step: as when the layer is called.

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
        parts = [side if isinstance(side, tuple) else (side,) for side in (first, second)]
        parts = [(*part, None, None)[:3] for part in parts]
        ours, theirs = (self._prepare(*part, training) for part in parts)
        theirs = require_alike(type(self).__name__, ours, theirs)
        if training is not None and not training:
            return self._output(unmixed(ours, self.targets == "packed"))
        ours = self._with_room(ours)
        features, others = (self._metric(batch, self._adaptation.scales) for batch in (ours, theirs))
        # Tensors of their own, even where a batch is mixed with itself: no row is its own neighbour here.
        others = [tf.identity(leaf) for leaf in others]
        plan, mixed = self._drawn(
            features, lambda _: Pairing(*self.pairing.between(features, others)), seed, step, within=False
        )
        return self._output(self._mixed(ours, theirs, plan, pair_weights(self.weight, features, others, plan, mixed)))

    def plan(self, features: Sequence[tf.Tensor], seed: Any, targets: Any = None, step: Any = None) -> MixPlan:
        """Draws partners and ratios for a batch, a deterministic function of its features and the seed.

        `features` is a flat list of numeric tensors `(batch, ...)` to measure distances on; `targets` those of the
        batch, for pairings by class. A sample that is its own partner, as in a batch of one, gets ratio 1 and stays
        exactly what it is.
        """
        features = [tf.convert_to_tensor(leaf) for leaf in features]
        return self._drawn(features, lambda seed: self._paired(features, seed, targets), seed, step)[0]

    def adapt(
        self,
        data: Any,
        batch_size: int = 256,
        steps: int | None = None,
        scale: bool = True,
        match_alpha: bool = False,
    ) -> None:
        """Learns from data before it mixes: the scales of columns and, on request, the alpha of k-mixup.

        Distances are then measured with every column, an entry of a feature's last axis, at standard deviation 1: the
        columns of a table differ in units. Mixing itself is not touched. What is learnt is saved with the layer. Call
        it before the layer is mapped: pipelines made before keep what they were made with.

        Args:
            data: a finite dataset of batches as the layer takes them, or arrays of features.
            batch_size: for arrays. steps: how many batches to take; default all.
            scale: whether to learn scales, in one pass.
            match_alpha: whether to replace alpha by alpha_k, with which this layer's pairs perturb as much as random
                ones do with alpha, in another pass.

        Raises:
            ValueError: for an empty dataset, or if no alpha_k exists, with the largest perturbation that is reached.

        Source: k-mixup, Algorithm 1, for alpha_k.

        Example:
            >>> table = np.random.default_rng(0).normal(size=(128, 3)) * [1, 100, 1e4]
            >>> layer = MixLayer(OptimalTransportPairing(8), BetaRatio(0.5))
            >>> layer.adapt(table, batch_size=64, match_alpha=True)
            >>> layer.get_config()["adapted"]["alpha"] > 0.5
            True
        """
        owner = type(self).__name__
        batch_size = _checks.integer(owner, "batch_size", batch_size, minimum=1)
        if not isinstance(data, tf.data.Dataset):
            data = tf.data.Dataset.from_tensor_slices(data).batch(batch_size)
        data = data if steps is None else data.take(_checks.integer(owner, "steps", steps, minimum=1))
        if data.cardinality() == tf.data.INFINITE_CARDINALITY:
            raise ValueError(f"{owner}: adapt needs a finite dataset, or steps. Received: one that repeats for ever.")
        if match_alpha and not isinstance(self.ratio, BetaRatio):
            _checks.refuse(owner, "ratio", "a BetaRatio where match_alpha=True", self.ratio)
        learnt = Adaptation(alpha=self._adaptation.alpha, scales=self._adaptation.scales)
        if scale:
            batches = self._measured(data, None, "scales of columns")
            learnt.scales = column_scales(owner, (leaves for leaves, _ in batches))
        if match_alpha:
            batches = self._measured(data, learnt.scales, "costs of matching")
            learnt.alpha = matched_alpha(owner, batches, self._paired, self.ratio.alpha)
        self._adaptation = learnt

    def _measured(self, data: tf.data.Dataset, scales: Any, title: str) -> Any:
        """The features of each batch that distances are measured on, and its targets."""
        for element in with_progress(data, f"{type(self).__name__}: {title}"):
            x, *rest = element if isinstance(element, tuple) else (element,)
            batch = self._prepare(x, rest[0] if rest else None, None, training=False)
            yield self._metric(batch, scales), batch.unflatten()[1]

    def _metric(self, batch: Batch, scales: Any) -> list[tf.Tensor]:
        return Metric(type(self).__name__, self.names.match_on, self.embedding, scales)(batch)

    def _prepare(self, x: Any, y: Any, sample_weight: Any, training: bool | None) -> Batch:
        is_evaluated = training is not None and not training
        require_targets(type(self).__name__, x, y, sample_weight, self.features_only or is_evaluated)
        rules = Rules(self.num_classes, self.names.passthrough, self.names.masks, sparse=self.targets == "packed")
        return prepare(type(self).__name__, x, y, sample_weight, rules)

    def _with_room(self, batch: Batch) -> Batch:
        """Refuses more interpolations than memory holds, before any is drawn."""
        count = mixtures_of_each(self.pairing, self.ratio)
        return batch if count is None else batch._replace(x=require_memory(type(self).__name__, batch.x, count))

    def _paired(self, features: list[tf.Tensor], seed: tf.Tensor, targets: Any) -> Pairing:
        extra = [targets] if getattr(self.pairing, "uses_targets", False) else []
        return Pairing(*self.pairing(features, seed, *extra))

    def _drawn(
        self, features: list[tf.Tensor], pair: Callable, seed: Any, step: Any, within: bool = True
    ) -> tuple[MixPlan, tf.Tensor | None]:
        """A plan, and whether the batch is mixed at all (None: it is). `within`: partners are of the same batch."""
        seed = as_seed(self._stream.next() if seed is None else seed)
        pairing_seed, ratio_seed, blend_seed, chance_seed = split(seed, 4)
        mixed = is_mixed(type(self).__name__, self.probability, self.schedule, step, chance_seed)

        def drawn() -> tuple[tf.Tensor, tf.Tensor]:
            pairing = pair(pairing_seed)
            ratio = self._ratio(pairing.group, ratio_seed)
            return pairing.partner, keep_alone(pairing.partner, ratio, within)

        partner, ratio = draw_or_keep(mixed, drawn, tf.shape(features[0])[0], self.pairing, self.ratio)
        return MixPlan(partner, ratio, blend_seed), mixed

    def _ratio(self, group: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        alpha = self._adaptation.alpha
        ratio = self.ratio if alpha is None else BetaRatio(alpha, self.ratio.scope, self.ratio.interpolations)
        return drawn_ratio(type(self).__name__, ratio, group, seed)

    def _mixed(
        self, first: Batch, second: Batch, plan: MixPlan, weight: tf.Tensor | None, saliency: Any = None
    ) -> Batch:
        owner, packed = type(self).__name__, self.targets == "packed"
        if getattr(self.blend, "axes", None) == 2:
            warn_of_channels_first(owner, first.x)
        # In the layer's name, but for what a saliency source says.
        with _checks.speaking_as(owner, "MixLayer", type(self.blend).__name__):
            blend = told_saliency(owner, self.blend, first, second, saliency)
            mixture = apply_plan(first, second, plan, blend, weight, packed)
        return mixture if packed or weight is None else weighted(owner, mixture, weight)

    def _output(self, batch: Batch) -> Any:
        x, y, sample_weight = batch.unflatten()
        if y is None:
            return x
        return (x, y) if sample_weight is None else (x, y, sample_weight)

    def get_config(self) -> dict[str, Any]:
        return {**self._shared_config(), **{name: serialized(getattr(self, name)) for name in STRATEGIES}}

    def _shared_config(self) -> dict[str, Any]:
        """What every preset has in its configuration, but for the strategies it chooses itself."""
        return {
            **super().get_config(),
            **{name: list(getattr(self.names, name)) for name in Names._fields},
            **{name: serialized(getattr(self, name)) for name in ("blend", "weight", "schedule", "embedding")},
            "num_classes": self.num_classes,
            "features_only": self.features_only,
            "targets": self.targets,
            "probability": self.probability,
            "adapted": self._adaptation.get_config(),
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "MixLayer":
        config = dict(config)
        for name in (*STRATEGIES, "schedule", "embedding", "saliency"):
            if isinstance(config.get(name), (dict, str)):
                config[name] = keras.saving.deserialize_keras_object(config[name])
        return cls(**config)
