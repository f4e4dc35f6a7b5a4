"""What a layer learns from data before it mixes: the scales of columns, and the alpha of k-mixup."""

import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from scipy.stats import chi2

from kmix_tf import _checks
from kmix_tf._progress import progress
from kmix_tf.backends import to_tensorflow
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
        rows = tf.data.Dataset.from_tensor_slices(to_tensorflow(data))
        data = rows.shuffle(max(int(rows.cardinality()), 1), seed=0).batch(batch_size)
    data = data if steps is None else data.take(_checks.integer("steps", steps, minimum=1))
    if data.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise _checks.problem("adapt needs a finite dataset, or steps. Received: one that repeats for ever.")
    return data


def matched_alpha(
    batches: tf.data.Dataset,
    look: Callable[..., Measured],
    pair: Callable[..., Pairing],
    alpha: float,
    largest: float | None,
    precision: float,
) -> MatchedAlpha:
    """The alpha with which pairs perturb as much as plain mixup's do with `alpha`, on the batches they will meet.

    Args:
        batches: finite; gone through as often as the precision needs.
        look: of the elements of a batch, the leaves to measure on, and the targets.
        pair: pairs such leaves, given a seed and targets.
        largest, precision: as in `MixLayer.adapt`.

    Source: k-mixup, Algorithm 1, in closed form, with the matching costs of the batches themselves.
    """
    costs, title = Costs(), f"{_checks.speaker()}: costs of matching"

    def known(seen: CostSummary) -> bool:
        return is_known(alpha, seen, precision, largest)

    enough = draw_until(known, costs, _passes(costs, batches, look, pair), _MOST_BATCHES, title, "batch")
    if not len(costs):
        raise _checks.problem(_EMPTY)
    found = alpha_of_costs(alpha, costs.summary(), largest)
    if not enough:
        remedy = "Give largest=, a bound for alpha; or take a smaller alpha or k, or the precision there is."
        draws = f"{len(costs):,} batches"
        warn_of_precision("the alpha that adapt learnt", found.standard_error / found.alpha, precision, draws, remedy)
    return found


def _passes(costs: Costs, batches: tf.data.Dataset, look: Callable, pair: Callable[..., Pairing]) -> Iterator[bool]:
    """Matches the batches of one pass after another; says after each batch whether that was the last of its pass."""
    measured, classes = _measured_by(look, pair), ClassesOfBatches()
    last, is_random = 0, True
    for number, found in _mapped(batches, 0, measured):
        costs.add(*found[:3])
        is_random &= bool(found.is_random)
        classes.add(found.classes)
        last = number
        yield False
    classes.warn()
    if not len(costs):
        return
    if is_random:
        costs.take_for_random()
        return
    yield True
    # One iterator for all other passes: to make one takes longer than a small table.
    for again, found in _mapped(batches.repeat(), last + 1, measured):
        costs.add(*found[:3])
        yield (again + 1) % (last + 1) == 0


class _Found(NamedTuple):
    """Of one batch: how many rows; mean squared distances of its pairs, and of all pairs of different rows, exactly;
    whether its pairs are those of plain mixup; and the class of each row, or nothing."""

    rows: Any
    matched: Any
    plain: Any
    is_random: Any
    classes: Any


def _mapped(batches: tf.data.Dataset, start: int, measured: Callable) -> Iterator[tuple[int, _Found]]:
    """The number of each batch, and what is found of it; empty ones are left out."""
    numbered = batches.enumerate(start).map(measured, num_parallel_calls=tf.data.AUTOTUNE)
    for number, found in numbered.prefetch(tf.data.AUTOTUNE).as_numpy_iterator():
        if found[0]:
            yield int(number), _Found(*found)


def _measured_by(look: Callable[..., Measured], pair: Callable[..., Pairing]) -> Callable:
    """What a map does with a batch and its number: pairs are made in a graph, as in training."""
    random, speaker = RandomPairing(), _checks.speaker()

    @tf.autograph.experimental.do_not_convert
    def measured(number: tf.Tensor, element: Any) -> tuple[tf.Tensor, tuple]:
        with _checks.speaking_as(speaker):
            leaves, targets = look(element)
            seed = tf.stack([0, tf.cast(number, tf.int32)])
            partner = pair(leaves, seed, targets).partner
            # One seed for both: the groups are the same, and so is everything where the pairing is random.
            other = random(leaves, seed).partner
            alike = tf.reduce_all(partner == other) if partner.shape.rank == 1 else tf.constant(False)
            cost = tf.reduce_mean(tf.square(pair_distances(leaves, leaves, partner)))
            rows = tf.cast(tf.shape(leaves[0])[0], tf.float64)
            return number, tuple(_Found(rows, cost, _mean_square_of_all(leaves, rows), alike, _classes_of(targets)))

    return measured


def _mean_square_of_all(leaves: list[tf.Tensor], rows: tf.Tensor) -> tf.Tensor:
    """The mean squared distance of all pairs of different rows, exactly: twice the variance, for all but one."""
    wide = [tf.cast(leaf, tf.float64) for leaf in leaves]
    variance = tf.add_n([tf.reduce_sum(tf.math.reduce_variance(leaf, axis=0)) for leaf in wide])
    return 2 * variance * tf.math.divide_no_nan(rows, rows - 1)


class ClassesOfBatches:
    """Counts how often two samples of one batch share their class, and two of all data."""

    def __init__(self) -> None:
        self._alike = self._pairs = 0
        self._batches = 0
        self._classes: Counter[int] = Counter()

    def add(self, classes: np.ndarray) -> None:
        """The classes of one batch."""
        counts = Counter(classes.tolist())
        self._classes += counts
        self._alike += _pairs_alike(counts)
        self._pairs += len(classes) * (len(classes) - 1)
        self._batches += bool(len(classes))

    def warn(self, consequence: str = "alpha is matched to such batches") -> None:
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
                f"{_checks.speaker()}: data seem to come sorted by class: two samples of a batch share their class "
                f"in {within:.0%} of pairs, two of all data in {overall:.0%}. {consequence}. "
                "If training shuffles, shuffle before batching here, too; or give arrays, which adapt shuffles.",
                stacklevel=2,
            )


def _classes_of(targets: Any) -> tf.Tensor:
    """The class of each row, by the first target that may be one: integers, or rows that sum to 1. Else nothing."""
    for leaf in tf.nest.flatten(targets):
        if not isinstance(leaf, tf.Tensor):
            continue
        if leaf.dtype.is_integer and leaf.shape.rank == 1:
            return tf.cast(leaf, tf.int64)
        if leaf.dtype.is_floating and leaf.shape.rank == 2 and leaf.shape[1] != 1:
            labels = tf.cast(leaf, tf.float64)
            off = tf.abs(tf.reduce_sum(labels, axis=1) - 1) > _checks.SUM_TOLERANCE
            is_one = ~tf.reduce_any(off | tf.reduce_any(labels < 0, axis=1))
            return tf.boolean_mask(tf.argmax(labels, axis=1), tf.fill(tf.shape(off), is_one))
    return tf.zeros([0], tf.int64)


def _pairs_alike(counts: Counter) -> int:
    return sum(count * (count - 1) for count in counts.values())


def with_progress(dataset: tf.data.Dataset, title: str) -> Iterator[Any]:
    """The dataset's elements; with a bar, where a person is watching."""
    total = int(dataset.cardinality())
    step = progress(title, "batch", total if total > 0 else None)
    for element in dataset:
        yield element
        step()
