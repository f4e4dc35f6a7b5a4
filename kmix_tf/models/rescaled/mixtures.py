"""What a mix makes of a batch, with the nearer end of each mixture: what `theta="measured"` looks at."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from kmix_tf import _checks
from kmix_tf.batch.batch import Batch
from kmix_tf.batch.leaf import FEATURES, TARGETS, WEIGHTS
from kmix_tf.batch.weights import weight_of
from kmix_tf.layers import ChoiceLayer, MixLayer, Stage
from kmix_tf.layers.stage import require_nothing_carried
from kmix_tf.mixing.apply import apply, unmixed
from kmix_tf.mixing.draw import Decisions, draw
from kmix_tf.mixing.watch import watching
from kmix_tf.models.rescaled.training import Training
from kmix_tf.ratio import BetaRatio, DistributionRatio


class Mixtures(NamedTuple):
    """Mixtures of a batch.

    near: int `(mixtures,)`, the row of the batch that each is nearest to: the one with the largest share shown.
    x, y: tensors of the mixtures, in the order of `tf.nest.flatten`. weights: for each of y, float64 `(mixtures,)` or
    `(mixtures, *places)`.
    """

    near: np.ndarray
    x: list[Any]
    y: list[Any]
    weights: list[np.ndarray]

    @property
    def weight(self) -> np.ndarray:
        """What each mixture counts in the loss, of all of its targets: float64 `(mixtures,)`."""
        each = [weight.sum(axis=tuple(range(1, weight.ndim))) for weight in self.weights]
        return np.sum(each, axis=0) / len(each)

    def times(self, share: float) -> "Mixtures":
        """The same, which count so much."""
        return self._replace(weights=[share * weight for weight in self.weights])


def mixtures_of(training: Training, x: Any, y: Any, weight: Any, seed: tuple[int, int]) -> Iterator[Mixtures]:
    """The mixtures that training makes of a batch: of each layer that it may be mixed by, and the batch as it is.

    They count as often as they come: of a choice of layers all mix the batch, and nothing is left to chance that
    need not be.

    Args:
        x, y, weight: as the layers take them. seed: of the draws, two integers.
    """
    parts = list(_parts(training.source, 1 / (1 + training.clean_weight), training.step))
    for number, (layer, share) in enumerate(parts):
        if share > 0:
            yield _mixed(layer, x, y, weight, (seed[0] + number, seed[1])).times(share)
    rest = 1 - sum(share for _, share in parts)
    if rest > 1e-9:
        yield _as_it_is(parts[0][0], x, y, weight).times(rest * (parts[0][0].mixtures or 1))


def _parts(source: Stage, share: float, step: int | None) -> Iterator[tuple[MixLayer, float]]:
    """The layers that may mix a batch, and how likely each does: of schedules, at the last step that was trained."""
    require_nothing_carried("alpha", source)
    if source.schedule is not None and step is not None:
        share *= float(source.schedule(tf.constant(step, tf.int64)))
    if isinstance(source, ChoiceLayer):
        for layer, chance in source.shares:
            yield from _parts(layer, share * chance, step)
    elif isinstance(source, MixLayer):
        yield source, share * source.probability
    else:
        _checks.refuse("alpha", "a MixLayer or a ChoiceLayer where theta='measured'", source, TypeError)


def _mixed(layer: MixLayer, x: Any, y: Any, weight: Any, seed: tuple[int, int]) -> Mixtures:
    batch = layer._read(x, y, weight, training=True)
    decisions = _each_alone(layer.decisions)
    with watching() as seen:
        drawn = draw(decisions, layer._sides(batch), tf.constant(seed))
        mixed = apply(batch, batch, drawn, decisions.blend, rules=layer._rules)
    return _as_mixtures(mixed, _nearer(drawn.plan.partner, seen[-1]["blended"]))


def _each_alone(decisions: Decisions) -> Decisions:
    """The same mix, but with a ratio for each sample: the same mixtures come as often, and fewer tell as much."""
    ratio = decisions.ratio
    if getattr(ratio, "scope", "pair") == "pair":
        return decisions
    if isinstance(ratio, BetaRatio):
        return decisions._replace(ratio=BetaRatio(ratio.alpha, "sample", ratio.interpolations))
    if isinstance(ratio, DistributionRatio):
        return decisions._replace(ratio=DistributionRatio(ratio.sample, "sample", ratio.interpolations))
    return decisions


def _nearer(partner: Any, blended: Any) -> np.ndarray:
    """The row that has the largest share in each mixture, one interpolation after another."""
    if blended.shares is not None:
        return np.asarray(blended.shares).argmax(axis=1)
    partner, ratio = np.asarray(partner), np.asarray(blended.ratio)
    rows, partner, ratio = np.broadcast_arrays(np.arange(partner.shape[-1]), partner, ratio)
    return np.where(ratio >= 0.5, rows, partner).ravel()


def _as_it_is(layer: MixLayer, x: Any, y: Any, weight: Any) -> Mixtures:
    batch = unmixed(layer._read(x, y, weight, training=True))
    return _as_mixtures(batch, np.arange(len(tf.nest.flatten(x)[0])))


def _as_mixtures(batch: Batch, near: np.ndarray) -> Mixtures:
    parts = [[leaf for leaf in batch.leaves if leaf.part == part] for part in (FEATURES, TARGETS, WEIGHTS)]
    features, targets, weights = parts
    counts = [_counts(weight_of(target, weights), len(near)) for target in targets]
    return Mixtures(near, _tensors(features), _tensors(targets), counts)


def _tensors(leaves: Sequence[Any]) -> list[Any]:
    return [leaf.tensor for leaf in leaves]


def _counts(weight: Any, size: int) -> np.ndarray:
    """Weights without axes of length 1 at the end; ones, where there are none."""
    if weight is None:
        return np.ones(size)
    values = np.asarray(weight.tensor, dtype=np.float64)
    while values.ndim > 1 and values.shape[-1] == 1:
        values = values[..., 0]
    return values
