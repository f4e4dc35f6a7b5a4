"""The general layer: one mix is four decisions."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._compat import register, require_tensorflow_backend
from kmix_tf.batch import Batch, prepare, require_alike
from kmix_tf.blend import LinearBlend, interpolate_leaves
from kmix_tf.pairing import RandomPairing
from kmix_tf.ratio import BetaRatio
from kmix_tf.seeding import SeedStream, as_seed, split
from kmix_tf.weight import EqualWeight

STRATEGIES = ("pairing", "ratio", "blend", "weight")


class MixPlan(NamedTuple):
    """What is random in one mix, drawn before anything is mixed.

    partner: int32 `(batch,)`, the row each sample is mixed with. ratio: float32 `(batch,)`, the weight of the
    sample itself. blend_seed: int32 `(2,)`, for blends that draw more.
    """

    partner: tf.Tensor
    ratio: tf.Tensor
    blend_seed: tf.Tensor


@register
class MixLayer(keras.layers.Layer):
    """Mixes the samples of a batch, and their targets, by four decisions that combine freely.

    Args:
        pairing: who is mixed with whom; default `RandomPairing()`.
        ratio: how much of each; default `BetaRatio(alpha=1.0)`.
        blend: how two inputs are combined; default `LinearBlend()`.
        weight: what a mixture counts in the loss; default `EqualWeight()`.
        num_classes: turns integer labels into soft labels of that many classes; a structure like the targets'
            where there are several. Float targets (one-hot, soft, multi-hot, regression) need none.
        features_only: True allows features without targets. Otherwise they are refused, because mixing inputs
            and leaving labels as they are would be wrong without any sign of it.
        seed: an integer for a repeatable stream of draws in a sequential pipeline, or None. For parallel
            pipelines and checkpoints, use `kmix_tf.mix(layer, seed=...)`.

    Call:
        `layer(x, y=None, sample_weight=None, training=None, seed=None)`, by hand or by `dataset.map(layer)`.
        x, y, sample_weight: numeric tensors `(batch, ...)`, or dicts, lists and tuples of them. Returns as many
        of the three as came in, of the same structure and shape (labels made soft have one more axis). Features
        come back in their own float dtype, integer and boolean ones in float32; targets and weights in float32,
        or float64 if they came so. The i-th result is mostly the i-th sample where ratios are near 1.
        training: False only converts, so that evaluation data look like training data. None means True.
        seed: an integer or a pair; the same seed and batch give the same mixture. Default: the layer's stream.

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
        seed: int | None = None,
        **kwargs: Any,
    ):
        # Keras would cast labels along with features to the compute dtype; the layer casts what it should.
        super().__init__(autocast=False, **kwargs)
        owner = type(self).__name__
        require_tensorflow_backend(owner)
        self.pairing = RandomPairing() if pairing is None else pairing
        self.ratio = BetaRatio() if ratio is None else ratio
        self.blend = LinearBlend() if blend is None else blend
        self.weight = EqualWeight() if weight is None else weight
        for name in STRATEGIES:
            if not callable(getattr(self, name)):
                _checks.refuse(owner, name, "callable", getattr(self, name), TypeError)
        self.num_classes = _checked_classes(owner, num_classes)
        self.features_only = _checks.flag(owner, "features_only", features_only)
        self.seed = None if seed is None else _checks.integer(owner, "seed", seed, minimum=0)
        self._stream = SeedStream(self.seed)
        self.supports_jit = not getattr(self.pairing, "runs_on_host", False)
        self.built = True

    @tf.autograph.experimental.do_not_convert
    def call(
        self, x: Any, y: Any = None, sample_weight: Any = None, training: bool | None = None, seed: Any = None
    ) -> Any:
        self._require_targets(x, y, sample_weight, training)
        batch = self._prepare(x, y, sample_weight)
        if training is not None and not training:
            return self._output(_unmixed(batch))
        plan = self.plan(batch.x, self._stream.next() if seed is None else seed)
        return self._output(self._mixed(batch, batch, plan))

    @tf.autograph.experimental.do_not_convert
    def between(self, first: Any, second: Any, training: bool | None = None, seed: Any = None) -> Any:
        """Mixes each sample of `first` with one of `second`, a batch of the same shape from another loader.

        Args:
            first, second: `(x, y)` or `(x, y, sample_weight)`, or x alone where `features_only`. Groups are
                taken in the order in which samples come, so shuffle both loaders. The ratio is `first`'s share.
            training, seed: as when the layer is called.

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
        for part in parts:
            self._require_targets(*part, training)
        ours, theirs = (self._prepare(*part) for part in parts)
        theirs = require_alike(type(self).__name__, ours, theirs)
        if training is not None and not training:
            return self._output(_unmixed(ours))
        _, ratio_seed, blend_seed = split(as_seed(self._stream.next() if seed is None else seed), 3)
        pairing = self.pairing.between(ours.x, theirs.x)
        plan = MixPlan(pairing.partner, self.ratio(pairing.group, ratio_seed), blend_seed)
        return self._output(self._mixed(ours, theirs, plan))

    def plan(self, features: Sequence[tf.Tensor], seed: Any) -> MixPlan:
        """Draws partners and ratios for a batch, a deterministic function of its features and the seed.

        `features` is a flat list of numeric tensors `(batch, ...)`. A sample that is its own partner, which only
        happens in a batch of one, gets ratio 1 and stays exactly what it is.
        """
        pairing_seed, ratio_seed, blend_seed = split(as_seed(seed), 3)
        pairing = self.pairing([tf.convert_to_tensor(leaf) for leaf in features], pairing_seed)
        ratio = self.ratio(pairing.group, ratio_seed)
        alone = tf.equal(pairing.partner, tf.range(tf.size(pairing.partner)))
        return MixPlan(pairing.partner, tf.where(alone, tf.ones_like(ratio), ratio), blend_seed)

    def _prepare(self, x: Any, y: Any, sample_weight: Any) -> Batch:
        return prepare(type(self).__name__, x, y, sample_weight, self.num_classes)

    def _mixed(self, first: Batch, second: Batch, plan: MixPlan) -> Batch:
        x, realised = self.blend(first.x, second.x, plan.partner, plan.ratio)
        others = interpolate_leaves(
            first.y + first.sample_weight, second.y + second.sample_weight, plan.partner, realised
        )
        y, sample_weight = others[: len(first.y)], others[len(first.y) :]
        mixed = first._replace(x=x, y=y, sample_weight=sample_weight)
        return self._weighted(mixed, self.weight(first.x, second.x, plan.partner))

    def _weighted(self, batch: Batch, weight: tf.Tensor | None) -> Batch:
        """Makes a weight, float32 `(batch,)`, the batch's sample weight, or a factor of those it has."""
        if weight is None:
            return batch
        x, y, sample_weight = batch.structure
        if y is None:
            raise ValueError(
                f"{type(self).__name__}: weights go with targets, and there are none to return them with. "
                f"Received: weight={self.weight!r} and features alone."
            )
        if sample_weight is None:
            return batch._replace(sample_weight=[weight], structure=(x, y, weight))
        weights = [
            leaf * tf.reshape(tf.cast(weight, leaf.dtype), [-1] + [1] * (leaf.shape.rank - 1))
            for leaf in batch.sample_weight
        ]
        return batch._replace(sample_weight=weights)

    def _output(self, batch: Batch) -> Any:
        x, y, sample_weight = batch.unflatten()
        if y is None:
            return x
        return (x, y) if sample_weight is None else (x, y, sample_weight)

    def _require_targets(self, x: Any, y: Any, sample_weight: Any, training: bool | None) -> None:
        owner = type(self).__name__
        if y is None and sample_weight is not None:
            raise ValueError(f"{owner}: sample_weight must come with targets. Received: sample_weight and y=None.")
        if y is None and not self.features_only and (training is None or training):
            got = f"a {type(x).__name__} with keys {sorted(x)}" if isinstance(x, dict) else "features alone"
            raise ValueError(
                f"{owner}: targets must come with the features, as (x, y), to be mixed alike. Received: {got}. "
                "Map the dataset to (x, y) first; or, if there are no targets, set features_only=True."
            )

    def get_config(self) -> dict[str, Any]:
        strategies = {name: keras.saving.serialize_keras_object(getattr(self, name)) for name in STRATEGIES}
        return {**self._shared_config(), **strategies}

    def _shared_config(self) -> dict[str, Any]:
        """What every preset has in its configuration."""
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "features_only": self.features_only,
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "MixLayer":
        config = dict(config)
        for name in STRATEGIES:
            if isinstance(config.get(name), dict):
                config[name] = keras.saving.deserialize_keras_object(config[name])
        return cls(**config)


def _checked_classes(owner: str, num_classes: Any) -> Any:
    """Integers of at least 2, or None, in any structure; NumPy integers become plain ones."""
    return tf.nest.map_structure(
        lambda count: None if count is None else _checks.integer(owner, "num_classes", count, minimum=2),
        num_classes,
    )


def _unmixed(batch: Batch) -> Batch:
    """Features in the dtype that mixing gives them."""
    cast = [leaf if leaf.dtype.is_floating else tf.cast(leaf, tf.float32) for leaf in batch.x]
    return batch._replace(x=cast)
