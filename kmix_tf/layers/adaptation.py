"""What a layer learns from data before it mixes: the scales of columns, and the alpha of k-mixup."""

import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf
from scipy.stats import chi2

from kmix_tf import _checks
from kmix_tf._progress import progress
from kmix_tf.maths.distance import pair_distances
from kmix_tf.maths.matched import (
    Costs,
    CostSummary,
    MatchedAlpha,
    draw_until,
    is_known,
    warn_of_precision,
)
from kmix_tf.maths.matched import matched_alpha as alpha_of_costs
from kmix_tf.maths.moments import StreamingMoments
from kmix_tf.pairing import Pairing, RandomPairing

_EMPTY = "adapt needs at least one sample. Received: an empty dataset."
# Batches that are matched at most, but for the last pass: half a minute or so.
_MOST_BATCHES = 10_000
# Batches on which pairs are compared with random ones, to see whether they are just that.
_COMPARED = 16
# What the classes of batches may have in common before they count as sorted: a share of what they could have, that
# shuffled data show less often than this.
_SORTED, _CHANCE = 0.1, 1e-6

# The leaves that distances are measured on, and the targets.
Measured = tuple[list[tf.Tensor], Any]


class Adaptation:
    """What `adapt` has learnt. An object of its own, because Keras 2 wraps the dictionaries that are set on a layer.

    scales: for each leaf that distances are measured on, the factors of its last axis; or None. alpha: or None. Of
    alpha, what else was found with it: its standard error, the perturbation that it reaches, the standard error of
    that, and the perturbation of plain mixup. None where it was learnt before they were kept.
    """

    def __init__(
        self,
        scales: list[list[float]] | None = None,
        alpha: float | None = None,
        alpha_error: float | None = None,
        perturbation: float | None = None,
        perturbation_error: float | None = None,
        plain_perturbation: float | None = None,
    ):
        self.scales = scales
        self.alpha, self.alpha_error = alpha, alpha_error
        self.perturbation, self.perturbation_error = perturbation, perturbation_error
        self.plain_perturbation = plain_perturbation

    def get_config(self) -> dict[str, Any] | None:
        if self.scales is None and self.alpha is None:
            return None
        besides = ("alpha_error", "perturbation", "perturbation_error", "plain_perturbation")
        known = {name: getattr(self, name) for name in besides if getattr(self, name) is not None}
        return {"scales": self.scales, "alpha": self.alpha, **known}

    def with_alpha(self, found: MatchedAlpha) -> "Adaptation":
        """The same scales with this alpha."""
        # JSON has no infinity.
        return Adaptation(self.scales, *(value if np.isfinite(value) else None for value in found))


def column_scales(batches: Iterable[list[tf.Tensor]]) -> list[list[float]]:
    """The factors that bring each column, an entry of a leaf's last axis, to standard deviation 1.

    In one pass, with float64 moments. Columns that never vary keep their scale.

    Args:
        batches: lists of the leaves to measure on, `(batch, ...)`.

    Raises:
        ValueError: if there is no sample.
    """
    moments = None
    for leaves in batches:
        moments = moments or [StreamingMoments() for _ in leaves]
        for moment, leaf in zip(moments, leaves, strict=True):
            rows = np.asarray(tf.cast(leaf, tf.float64))
            moment.update(rows.reshape(-1, rows.shape[-1] if rows.ndim > 1 else 1))
    if moments is None or not all(moment.total for moment in moments):
        raise _checks.problem(f"{_EMPTY}")
    return [_inverse_deviations(moment).tolist() for moment in moments]


def _inverse_deviations(moment: StreamingMoments) -> np.ndarray:
    """1 / standard deviation; 1 for columns whose only variation is the rounding of their mean."""
    deviation = np.sqrt(moment.variance)
    varies = deviation > 1e-13 * np.abs(moment.mean)
    return np.where(varies, 1 / np.where(varies, deviation, 1), 1.0)


def batches_of(data: Any, batch_size: int, steps: int | None) -> tf.data.Dataset:
    """A finite dataset of batches: that which was given, or arrays in batches as training meets them, shuffled."""
    if not isinstance(data, tf.data.Dataset):
        rows = tf.data.Dataset.from_tensor_slices(data)
        data = rows.shuffle(max(int(rows.cardinality()), 1), seed=0).batch(batch_size)
    data = data if steps is None else data.take(_checks.integer("steps", steps, minimum=1))
    if data.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise _checks.problem("adapt needs a finite dataset, or steps. Received: one that repeats for ever.")
    return data


def shuffled_again(
    batches: Iterable[Measured], batch_size: int, with_targets: bool
) -> Callable[[], Iterator[Measured]]:
    """Passes over all rows of these batches, each in another order. Targets are kept if asked for."""
    kept = [(leaves, targets if with_targets else ()) for leaves, targets in batches]
    if not kept:
        return lambda: iter(())
    together = tf.nest.map_structure(lambda *parts: np.concatenate([part.numpy() for part in parts]), *kept)
    generator = np.random.default_rng(0)

    def one_pass() -> Iterator[Measured]:
        order = generator.permutation(len(together[0][0]))
        for start in range(0, len(order), batch_size):
            yield tf.nest.map_structure(_rows(order[start : start + batch_size]), together)

    return one_pass


def _rows(rows: np.ndarray) -> Callable[[np.ndarray], tf.Tensor]:
    return lambda part: tf.constant(part[rows])


def matched_alpha(
    one_pass: Callable[[], Iterable[Measured]],
    pair: Callable[..., Pairing],
    alpha: float,
    largest: float | None,
    precision: float,
) -> MatchedAlpha:
    """The alpha with which pairs perturb as much as plain mixup's do with `alpha`, on the batches they will meet.

    Args:
        one_pass: gives the batches, anew for each pass over the data.
        pair: pairs such leaves, given a seed and targets.
        largest, precision: as in `MixLayer.adapt`.

    Source: k-mixup, Algorithm 1, in closed form, with the matching costs of the batches themselves.
    """
    costs, title = Costs(), f"{_checks.speaker()}: costs of matching"

    def known(seen: CostSummary) -> bool:
        return is_known(alpha, seen, precision, largest)

    enough = draw_until(known, costs, _passes(costs, one_pass, pair), _MOST_BATCHES, title, "batch")
    if not len(costs):
        raise _checks.problem(_EMPTY)
    found = alpha_of_costs(alpha, costs.summary(), largest)
    if not enough:
        remedy = "Give largest=, a bound for alpha; or take a smaller alpha or k, or the precision there is."
        draws = f"{len(costs):,} batches"
        warn_of_precision("the alpha that adapt learnt", found.standard_error / found.alpha, precision, draws, remedy)
    return found


def _passes(costs: Costs, one_pass: Callable[[], Iterable[Measured]], pair: Callable[..., Pairing]) -> Iterator[bool]:
    """Matches the batches of one pass after another; says after each batch whether that was the last of its pass."""
    measured, of_random = _costs_of(pair), _costs_of(RandomPairing())
    number, before, is_random = 0, -1, True
    # As long as a pass brings something.
    while number > before:
        before = number
        for leaves, targets in one_pass():
            rows = int(leaves[0].shape[0])
            if not rows:
                continue
            seed = tf.constant([0, number])
            partner, cost = measured(leaves, seed, targets)
            costs.add(rows, float(cost), _mean_square_of_all(leaves))
            # One seed for both: the groups are the same, and so is everything where the pairing is random.
            if number < _COMPARED:
                is_random &= np.array_equal(partner, of_random(leaves, seed, None)[0])
            number += 1
            yield False
        if is_random:
            costs.take_for_random()
            return
        if number > before:
            yield True


def _costs_of(pair: Callable[..., Pairing]) -> Callable[..., tuple[tf.Tensor, tf.Tensor]]:
    """Partners and their mean squared distance; in a graph, as in a map, which is ten times as fast."""

    def measured(leaves: list[tf.Tensor], seed: tf.Tensor, targets: Any) -> tuple[tf.Tensor, tf.Tensor]:
        partner = pair(leaves, seed, targets).partner
        return partner, tf.reduce_mean(tf.square(pair_distances(leaves, leaves, partner)))

    return tf.function(measured, autograph=False, reduce_retracing=True)


def _mean_square_of_all(leaves: list[tf.Tensor]) -> float:
    """The mean squared distance of all pairs of different samples, exactly: twice the variance, for all but one."""
    rows = len(leaves[0])
    if rows == 1:
        return 0.0
    variances = (np.asarray(tf.cast(leaf, tf.float64)).reshape(rows, -1).var(axis=0).sum() for leaf in leaves)
    return float(2 * sum(variances) * rows / (rows - 1))


def warning_of_sorted(one_pass: Callable[[], Iterable[Measured]]) -> Callable[[], Iterator[Measured]]:
    """The same passes; after the first one, a warning if labels show that the data came sorted by class."""
    seen: ClassesOfBatches | None = ClassesOfBatches()

    def watched() -> Iterator[Measured]:
        nonlocal seen
        for leaves, targets in one_pass():
            if seen is not None:
                seen.add(targets)
            yield leaves, targets
        if seen is not None:
            seen.warn()
        seen = None

    return watched


class ClassesOfBatches:
    """Counts how often two samples of one batch share their class, and two of all data."""

    def __init__(self) -> None:
        self._alike = self._pairs = 0
        self._batches = 0
        self._classes: Counter[int] = Counter()

    def add(self, targets: Any) -> None:
        """The targets of one batch, as far as they are classes."""
        classes = _classes_of(targets)
        if classes is None or len(classes) == 0:
            return
        counts = Counter(classes.tolist())
        self._classes += counts
        self._alike += _pairs_alike(counts)
        self._pairs += len(classes) * (len(classes) - 1)
        self._batches += 1

    def warn(self) -> None:
        """Warns where the former is much more than the latter, and more than shuffled data would ever have."""
        total, kinds = sum(self._classes.values()), len(self._classes)
        if kinds < 2 or self._batches < 2 or not self._pairs:
            return
        within, overall = self._alike / self._pairs, _pairs_alike(self._classes) / (total * (total - 1))
        excess = (within - overall) / (1 - overall)
        # As the test of chi square sees it, of batches by classes.
        freedom = (self._batches - 1) * (kinds - 1)
        chance = chi2.sf(freedom * (1 + excess * (total / self._batches - 1)), freedom)
        if excess > _SORTED and chance < _CHANCE:
            warnings.warn(
                f"{_checks.speaker()}: data seem to come sorted by class: two samples of a batch share their class in "
                f"{within:.0%} of pairs, two of all data in {overall:.0%}. adapt matches alpha to such batches. If "
                "training shuffles, shuffle before batching here, too; or give arrays, which adapt shuffles itself.",
                stacklevel=2,
            )


def _classes_of(targets: Any) -> np.ndarray | None:
    """The class of each sample, of the first target that is one: integers, or rows that sum to 1."""
    for leaf in tf.nest.flatten(targets):
        if not tf.is_tensor(leaf) or not isinstance(leaf, tf.Tensor):
            continue
        if leaf.dtype.is_integer and leaf.shape.rank == 1:
            return leaf.numpy()
        if leaf.dtype.is_floating and leaf.shape.rank == 2 and leaf.shape[1] > 1:
            labels = np.asarray(tf.cast(leaf, tf.float64))
            if labels.min(initial=0) >= 0 and np.abs(labels.sum(axis=1) - 1).max(initial=0) <= _checks.SUM_TOLERANCE:
                return labels.argmax(axis=1)
    return None


def _pairs_alike(counts: Counter) -> int:
    return sum(count * (count - 1) for count in counts.values())


def with_progress(dataset: tf.data.Dataset, title: str) -> Iterator[Any]:
    """The dataset's elements; with a bar, where a person is watching."""
    total = int(dataset.cardinality())
    step = progress(title, "batch", total if total > 0 else None)
    for element in dataset:
        yield element
        step()
