"""What a mix drew and made of one batch, as arrays, and what that says in a few numbers."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from kmix_tf.batch.leaf import FEATURES, MIXED, TARGETS
from kmix_tf.maths.distance import pair_distances
from kmix_tf.mixing.watch import watching

# How far from whole numbers and from 1 soft labels may be: half precision rounds.
_TOLERANCE = 1e-2


class Mixtures(NamedTuple):
    """The mixtures of one batch of n samples, m of them: one interpolation of the whole batch after another.

    sample, partner: int `(m,)`, rows of the batch; of mixtures of more than two samples, those that most is of.
    ratio: float `(m,)`, the share of the sample that the blend realised. shares: None, or, for mixtures of more than
    two, float `(m, n)`. weight: float `(m,)`, what each counts, or None for all alike. distance: float `(m,)`, of the
    two samples, in what the mix measures distances on.
    x, y: features and targets of the samples, by name, `(n, ...)`. mixed_x, mixed_y: those of the mixtures.
    """

    sample: np.ndarray
    partner: np.ndarray
    ratio: np.ndarray
    shares: np.ndarray | None
    weight: np.ndarray | None
    distance: np.ndarray
    x: dict[str, np.ndarray]
    y: dict[str, np.ndarray]
    mixed_x: dict[str, np.ndarray]
    mixed_y: dict[str, np.ndarray]

    def parts(self, index: int) -> list[tuple[int, float]]:
        """The samples in a mixture and their shares: two, or those of more than two, the largest first."""
        if self.shares is None:
            ratio = float(self.ratio[index])
            return [(int(self.sample[index]), ratio), (int(self.partner[index]), 1 - ratio)]
        order = np.argsort(-self.shares[index], kind="stable")
        shares = self.shares[index][order]
        count = max(2, int((shares > 0).sum()))
        return [(int(row), float(share)) for row, share in zip(order[:count], shares[:count], strict=True)]


def look(mix: Callable[[], Any]) -> Mixtures:
    """Mixes a batch, and says what was drawn.

    Args:
        mix: mixes it, eagerly. Where several mixes take part, each sample is of that whose mixture it is.
    """
    with watching() as seen:
        batch = mix()
    x, y = (*batch, None)[:2] if isinstance(batch, tuple) else (batch, None)
    leaves = _named(FEATURES, x)
    count = len(next(iter(leaves.values())))
    looks = [each for each in (_mixtures(**one) for one in seen if "mixed" in one) if len(each.ratio) == count]
    if not looks:
        return _unmixed(leaves, _named(TARGETS, y))
    return looks[0] if len(looks) == 1 else _chosen(looks, list(leaves.values()))


def _named(part: str, structure: Any) -> dict[str, np.ndarray]:
    """The dense leaves of a structure, by their number."""
    leaves = [] if structure is None else tf.nest.flatten(structure)
    dense = [
        tf.convert_to_tensor(leaf) for leaf in leaves if not isinstance(leaf, (tf.RaggedTensor, tf.SparseTensor))
    ]
    return {f"{part}/{at}" if at else part: _array(leaf) for at, leaf in enumerate(dense)}


def _mixtures(sides: Any, drawn: Any, batch: Any, blended: Any, mixed: Any) -> Mixtures:
    if blended.shares is not None:
        shares = np.asarray(blended.shares, np.float64)
        order = np.argsort(-shares, axis=1, kind="stable")
        sample, partner = order[:, 0], order[:, min(1, shares.shape[1] - 1)]
        ratio = np.take_along_axis(shares, order[:, :1], axis=1)[:, 0]
        partner = np.where(ratio < 1, partner, sample)
    else:
        shares, ratio = None, np.asarray(blended.ratio, np.float64)
        partner = np.broadcast_to(np.asarray(drawn.plan.partner), ratio.shape)
        sample = np.broadcast_to(np.arange(partner.shape[-1]), ratio.shape)
        sample, partner, ratio = sample.reshape(-1), partner.reshape(-1), ratio.reshape(-1)
    ours = [tf.gather(leaf, sample) for leaf in sides.first]
    distance = pair_distances(ours, list(sides.second), tf.constant(partner, tf.int32)).numpy()
    weight = None if drawn.weight is None else np.asarray(drawn.weight, np.float64)
    leaves = (_leaves(of, part) for part in (FEATURES, TARGETS) for of in (batch, mixed))
    x, mixed_x, y, mixed_y = leaves
    return Mixtures(sample, partner, ratio, shares, weight, distance, x, y, mixed_x, mixed_y)


def _leaves(batch: Any, part: str) -> dict[str, np.ndarray]:
    """The mixed leaves of a part, by name."""
    return {
        "/".join(map(str, leaf.path)) or part: _array(leaf.tensor)
        for leaf in batch.leaves
        if leaf.part == part and leaf.role == MIXED
    }


def _array(tensor: tf.Tensor) -> np.ndarray:
    """As NumPy knows it, which half precisions are not all."""
    return np.asarray(tf.cast(tensor, tf.float32) if tensor.dtype in (tf.float16, tf.bfloat16) else tensor)


def _unmixed(x: dict[str, np.ndarray], y: dict[str, np.ndarray]) -> Mixtures:
    """A batch that no mix has touched."""
    rows = np.arange(len(next(iter(x.values()))))
    return Mixtures(rows, rows, np.ones(len(rows)), None, None, np.zeros(len(rows)), x, y, x, y)


def _chosen(looks: list[Mixtures], x: list[np.ndarray]) -> Mixtures:
    """Of several mixes of the same batch, for each mixture the one that it is of: whose features it has."""
    first, rows = looks[0], np.arange(len(x[0]))
    if len(first.sample) == len(next(iter(first.x.values()))):
        # Some may be of none.
        looks = [*looks, _unmixed(first.x, first.y)._replace(mixed_y=_of_shapes(first.y, first.mixed_y))]
    which = np.zeros(len(rows), int)
    for number, each in reversed(list(enumerate(looks))):
        has_them = np.ones(len(rows), bool)
        for ours in each.mixed_x.values():
            has_them &= np.any([_equal_rows(ours, leaf) for leaf in x if leaf.shape == ours.shape], axis=0)
        which[has_them] = number

    def joined(values: list[Any]) -> Any:
        if all(value is None for value in values):
            return None
        return np.stack([np.ones(len(rows)) if value is None else value for value in values])[which, rows]

    return Mixtures(
        sample=joined([each.sample for each in looks]),
        partner=joined([each.partner for each in looks]),
        ratio=joined([each.ratio for each in looks]),
        shares=None,
        weight=joined([each.weight for each in looks]),
        distance=joined([each.distance for each in looks]),
        x=first.x,
        y=first.y,
        mixed_x={name: joined([each.mixed_x[name] for each in looks]) for name in first.mixed_x},
        mixed_y={name: joined([each.mixed_y[name] for each in looks]) for name in first.mixed_y},
    )


def _of_shapes(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Our arrays, but theirs where shapes differ, as those of packed targets do."""
    return {name: ours[name] if ours[name].shape == their.shape else their for name, their in theirs.items()}


def _equal_rows(first: np.ndarray, second: np.ndarray) -> Any:
    return np.all(np.reshape(first == second, [len(first), -1]), axis=1)


def effective_count(weight: np.ndarray | None, count: int) -> float:
    """How many samples of equal weight say as much: (sum w)^2 / sum w^2, 0 if none weighs anything.

    Source: Kish, *Survey Sampling* (1965), 8.2.
    """
    if weight is None:
        return float(count)
    squares = np.square(weight).sum()
    return float(np.square(weight.sum()) / squares) if squares else 0.0


def differ(targets: np.ndarray) -> Callable[[np.ndarray, np.ndarray], np.ndarray] | None:
    """What says whether two rows are of different classes; None for targets that are no classes.

    Integers and floats of 0 and 1 are classes, alone or several at once; soft labels are of their largest class.
    """
    if targets.ndim == 2 and targets.shape[1] == 1:
        targets = targets[:, 0]
    if targets.ndim > 2:
        return None
    if targets.dtype.kind in "iub" or np.isin(targets, (0, 1)).all():
        flat = targets.reshape(len(targets), -1)
        return lambda first, second: (flat[first] != flat[second]).any(axis=1)
    if targets.ndim == 2 and (targets >= 0).all() and np.allclose(targets.sum(axis=1), 1, atol=_TOLERANCE):
        classes = targets.argmax(axis=1)
        return lambda first, second: classes[first] != classes[second]
    return None


def statistics(mixtures: Mixtures) -> dict[str, float]:
    """What is logged of one batch's mixtures; NaN for the mean over pairs where there are none."""
    apart = mixtures.partner != mixtures.sample
    found = {
        "mix_ratio": float(mixtures.ratio.mean()),
        "mix_ratio_std": float(mixtures.ratio.std()),
        "mix_mixed": float((apart & (mixtures.ratio < 1)).mean()),
        "mix_distance": _mean(mixtures.distance[apart]),
        "mix_effective_samples": effective_count(mixtures.weight, len(mixtures.ratio)),
    }
    for name, targets in mixtures.y.items():
        of_others = differ(targets)
        if of_others is not None:
            key = "mix_across_classes" + ("" if len(mixtures.y) == 1 else f"_{name.replace('/', '_')}")
            found[key] = _mean(of_others(mixtures.sample[apart], mixtures.partner[apart]))
    return found


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")
