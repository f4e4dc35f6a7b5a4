"""Measuring theta: mixtures of the training data, regressed on their nearer ends until the slopes are known."""

import warnings
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._ops import ops
from kmix_tf._progress import progress
from kmix_tf.layers.adaptation import ClassesOfBatches
from kmix_tf.models.rescaled.means import TrainingMeans
from kmix_tf.models.rescaled.measuring import CheckedBatch, Measuring
from kmix_tf.models.rescaled.mixtures import Mixtures, mixtures_of
from kmix_tf.models.rescaled.places import present_at, weights_at
from kmix_tf.models.rescaled.slopes import Slope, Slopes
from kmix_tf.models.rescaled.training import Training
from kmix_tf.pairing import NearestNeighborPairing, OptimalTransportPairing

# The standard error that slopes shall have, and the largest that goes without saying.
PRECISION, _TOLERATED = 0.003, 0.01
# Batches that tell a standard error; so many that a pass need not be ended; and at most.
_FEWEST, _MANY, _MOST = 20, 200, 2000
# Of seeds: nobody else's.
_SEED = 0x7E7A


def regressed(passes: Iterable[Iterable[Any]], means: TrainingMeans, seen: Measuring, training: Training) -> Slopes:
    """The slopes of a training's mixtures on their nearer ends.

    Args:
        passes: over the data, in batches `(x, y)` or `(x, y, sample_weight)` as training meets them; as many are
            taken as the precision needs, and not more than 2,000 batches.
        means: of these data. seen: what measured them, which knows the model.
        training: the mix, which batches go through.

    Warns:
        UserWarning: for batches that are smaller than the mix's groups, that come sorted by class, or that do not
            tell the slopes to 0.01.
    """
    slopes = Slopes(_slopes(means.feature_moments), _slopes(means.target_moments), _weighs(training))
    step = progress(f"{_checks.speaker()}: mixtures", "batch")
    classes, largest, number = ClassesOfBatches(), 0, 0
    for data in passes:
        for x, y, *weights in data:
            rows = seen.rows(number, x, y, weights)
            largest = max(largest, len(rows.weight))
            for mixtures in mixtures_of(training, x, _as_outputs(rows, y), *_weights(weights), (_SEED, number)):
                _add(slopes, rows, mixtures)
            _end_batch(slopes)
            classes.add(_classes(rows.targets))
            number += 1
            step()
            if (number >= _MANY and is_known(slopes)) or number >= _MOST:
                break
        if (is_known(slopes) and number >= _FEWEST) or number >= _MOST:
            break
    classes.warn("theta is that of such batches")
    _warn_of_groups(training, largest)
    _warn_of_precision(slopes)
    return slopes


def is_known(slopes: Slopes) -> bool:
    """Whether all slopes have the precision that is wanted."""
    return all(slope.error <= PRECISION for slope in slopes.all)


def passes_of(data: Any, parts: Any, batch_size: int) -> Iterator[Iterable[Any]]:
    """Passes without end: over a dataset as it comes, or over arrays, shuffled anew each time.

    Args:
        data: a dataset of batches. parts: the arrays that it was made of, `(x, y)` or `(x, y, sample_weight)`; None
            if it came as a dataset. batch_size: for arrays.
    """
    if parts is None:
        while True:
            yield data
    random = np.random.default_rng(_SEED)
    parts = tf.nest.map_structure(np.asarray, parts)
    size = len(tf.nest.flatten(parts)[0])
    while True:
        order = random.permutation(size)
        yield (_rows(parts, order[start : start + batch_size]) for start in range(0, size, batch_size))


def _rows(parts: Any, index: np.ndarray) -> Any:
    return tf.nest.map_structure(lambda leaf: tf.convert_to_tensor(leaf[index]), parts)


def _slopes(means: list[Any]) -> list[Any]:
    return [each and Slope(each.shape, each.mean) for each in means]


def _weighs(training: Training) -> bool:
    """Whether mixtures count differently by what the mix says, so that the model has learnt other means."""
    members = training.source.members()
    return any(member.class_weight is not None or not member.weight.counts_alike for member in members)


def _as_outputs(rows: CheckedBatch, y: Any) -> Any:
    """Targets in the form of the model's outputs, as tensors."""
    leaves = [tf.convert_to_tensor(np.asarray(leaf, np.float32)) for leaf in rows.targets]
    return tf.nest.pack_sequence_as(y, leaves)


def _weights(weights: list[Any]) -> tuple[Any]:
    return (weights[0] if weights else None,)


def _add(slopes: Slopes, rows: CheckedBatch, mixtures: Mixtures) -> None:
    """Adds mixtures of a batch."""
    near = mixtures.near
    slopes.mixtures += len(near)
    leaves = zip(slopes.features, rows.features, mixtures.x, rows.features_present, strict=True)
    for slope, leaf, mixed, there in leaves:
        if slope is not None:
            _add_leaf(slope, leaf, mixed, near, mixtures.weight, there)
    targets = zip(slopes.targets, rows.targets, mixtures.y, mixtures.weights, rows.targets_present, strict=True)
    for slope, leaf, mixed, weight, there in targets:
        _add_leaf(slope, leaf, mixed, near, weight, there)


def _add_leaf(slope: Slope, leaf: Any, mixed: Any, near: np.ndarray, weight: np.ndarray, there: Any) -> None:
    is_open = [size is None for size in slope.near.shape]
    there = None if there is None else ops.to_numpy(there)[near]
    leaf, mixed = np.asarray(leaf)[near], np.asarray(mixed)
    slope.add(leaf, mixed, present_at(weights_at(weight, leaf.shape, is_open), there))


def _end_batch(slopes: Slopes) -> None:
    for slope in slopes.all:
        slope.end_batch()


def _classes(targets: list[np.ndarray]) -> np.ndarray:
    """The class of each row, by the first target that has one of several."""
    for leaf in targets:
        if leaf.ndim == 2 and leaf.shape[1] > 1 and np.allclose(leaf.sum(axis=1), 1) and (leaf >= 0).all():
            return leaf.argmax(axis=1)
    return np.zeros(0, int)


def _warn_of_groups(training: Training, largest: int) -> None:
    """Warns of batches that are too small for groups of k to meet others."""
    pairings = [getattr(member.pairing, "pairing", member.pairing) for member in training.source.members()]
    groups = [each.k for each in pairings if isinstance(each, (OptimalTransportPairing, NearestNeighborPairing))]
    if groups and largest < 2 * max(groups):
        _warn(
            f"batches should be those of training, with at least 2 k = {2 * max(groups)} samples for groups of "
            f"{max(groups)}. Received: at most {largest}; theta is that of smaller groups. Set batch_size=, or batch "
            "the dataset as for training"
        )


def _warn_of_precision(slopes: Slopes) -> None:
    error = max(slope.error for slope in slopes.all)
    if error > _TOLERATED:
        _warn(
            f"theta was measured with a standard error of {error:.2g} only, by {slopes.mixtures:,} mixtures. More "
            "data would tell more"
        )


def _warn(message: str) -> None:
    warnings.warn(f"{_checks.speaker()}: {message}.", UserWarning, stacklevel=4)
