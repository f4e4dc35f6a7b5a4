"""What a mixture must be, by NumPy and SciPy, of the partner, the ratio and the mask that the layer tells."""

import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf
from fuzzing.batches import CLASSES, Batch

# To how many parts a mixture may be rounded, by the dtype of the features.
ROUNDING = {"float16": 2e-3, "bfloat16": 1.6e-2}


@dataclasses.dataclass
class Told:
    """What the layer tells of the mixtures of one batch, one interpolation of the whole batch after another.

    own, other: rows of the sample and of its partner. drawn: the share of the sample that was asked for; share: that
    is shown; label: that is in the label. mask: the share at each place, or None. places: where both sides come
    from. shares, sources: of mixtures of any number of samples. weight: what each counts, or None.
    """

    own: np.ndarray
    other: np.ndarray
    drawn: np.ndarray
    share: np.ndarray
    label: np.ndarray
    mask: np.ndarray | None
    places: tuple[np.ndarray, ...]
    shares: np.ndarray | None
    sources: tuple[np.ndarray, ...]
    weight: np.ndarray | None
    several: int

    @property
    def sizes(self) -> tuple[int, ...] | None:
        """Of the mask, its places; None without one."""
        if self.sources:
            return self.sources[0].shape[1:]
        return None if self.mask is None else self.mask.shape[1:]


def told_of(entry: dict[str, Any]) -> Told:
    """What a watched mix has told."""
    plan, weight, blended = *entry["drawn"], entry["blended"]
    partner, ratio = np.asarray(plan.partner), np.asarray(plan.ratio, np.float64)
    size, count = ratio.shape[-1], ratio.size // max(ratio.shape[-1], 1)
    rows = np.tile(np.arange(size), count)
    share = np.asarray(blended.ratio, np.float64).reshape(-1)
    label = share if blended.label_ratio is None else np.asarray(blended.label_ratio, np.float64).reshape(-1)
    mask = None
    if blended.mask is not None:
        mask = np.asarray(blended.mask, np.float64)
        mask = mask.reshape(len(share), *mask.shape[ratio.ndim :])
    return Told(
        rows,
        np.broadcast_to(partner, ratio.shape).reshape(-1),
        ratio.reshape(-1),
        share,
        label,
        mask,
        tuple(np.asarray(each) for each in blended.places),
        None if blended.shares is None else np.asarray(blended.shares, np.float64),
        tuple(np.asarray(each) for each in blended.sources),
        None if weight is None else np.asarray(weight, np.float64),
        ratio.ndim,
    )


def wide(leaf: Any) -> np.ndarray:
    """The numbers of a leaf in float64."""
    return np.asarray(tf.cast(leaf, tf.float64))


def require(holds: Any, what: str) -> None:
    """An error that says what does not hold: asserts may be left out."""
    if not holds:
        raise AssertionError(what)


def close(found: Any, wanted: np.ndarray, rounding: float, what: str) -> None:
    """Whether numbers are those wanted but for rounding, relative to the largest of them."""
    found = wide(found)
    require(found.shape == wanted.shape, f"{what}: of shape {found.shape} instead of {wanted.shape}")
    unit = max(1.0, float(np.abs(wanted).max(initial=0)))
    worst = float(np.abs(found - wanted).max(initial=0)) if np.isfinite(found).all() else np.inf
    require(worst <= rounding * unit, f"{what}: off by {worst:.3g} of {unit:.3g}")


def aligned(values: np.ndarray, ndim: int) -> np.ndarray:
    """With axes of length 1 more at the end."""
    return values.reshape(*values.shape, *[1] * (ndim - values.ndim))


def moved(leaf: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Rows with what stands at other places of the same row, counted row by row."""
    flat = leaf.reshape(len(leaf), int(np.prod(places.shape[1:])), -1)
    taken = np.take_along_axis(flat, places.reshape(len(places), -1, 1), axis=1)
    return taken.reshape(leaf.shape)


def has_places(shape: tuple[int, ...], told: Told, is_target: bool) -> bool:
    """Whether a leaf `(batch, ...)` has a value at each place of the mask."""
    sizes = told.sizes
    if sizes is None or shape[1 : 1 + len(sizes)] != sizes:
        return False
    return not is_target or len(shape) > len(sizes) + 1 or len(sizes) > 1


def _at_all(side: np.ndarray, sizes: tuple[int, ...]) -> np.ndarray:
    """What is of rows of an image alone, at each place of it."""
    if side.ndim > len(sizes):
        return side
    return np.broadcast_to(aligned(side, 1 + len(sizes)), (len(side), *sizes))


def sides(first: np.ndarray, second: np.ndarray, told: Told, by_place: bool) -> tuple[np.ndarray, np.ndarray]:
    """What both samples of each mixture have, at the places that are shown."""
    own, other = first[told.own], second[told.other]
    if by_place and told.places:
        sizes = told.sizes
        own, other = (_at_all(side, sizes) for side in (own, other))
        own, other = moved(own, told.places[0]), moved(other, told.places[1])
    return own, other


def features(found: Any, first: Any, second: Any, told: Told, batch: Batch, exact: bool = True) -> None:
    """Whether a leaf of features is the mixture of its samples, and comes back where nothing is mixed.

    exact: whether the mixture follows from what was told; of AlignMix, StyleMix and resized means it does not.
    """
    rounding = ROUNDING.get(first.dtype.name, 2e-5)
    wanted = first.dtype if first.dtype.is_floating else tf.float32
    require(found.dtype == wanted, f"features of {first.dtype.name} come back as {found.dtype.name}")
    values, others = wide(first), wide(second)
    by_place = has_places(values.shape, told, is_target=False)
    if told.shares is not None:
        close(found, of_many(values, told, by_place), rounding, "features")
        return
    own, other = sides(values, others, told, by_place)
    share = aligned(told.mask if by_place and told.mask is not None else told.share, values.ndim)
    got = wide(found)
    require(got.shape == own.shape, f"features: of shape {got.shape} instead of {own.shape}")
    is_own = (told.share == 1) & (told.drawn == 1)
    if exact and (by_place or not batch.places or values.ndim <= len(batch.places)):
        close(found, share * own + (1 - share) * other, rounding, "features")
        whole = np.broadcast_to((share == 0) | (share == 1), got.shape)
        require((got == np.where(share == 1, own, other))[whole].all(), "features that are pasted are changed")
    require((got[is_own] == values[told.own[is_own]]).all(), "features at ratio 1 are changed")


def of_many(leaf: np.ndarray, told: Told, by_place: bool) -> np.ndarray:
    """A mixture of any number of samples."""
    if not by_place:
        return np.tensordot(told.shares, leaf, axes=1)
    places = np.indices(told.sources[0].shape)[1:]
    return np.mean([leaf[(rows, *places)] for rows in told.sources], axis=0)


def is_realised(told: Told, is_style: bool = False) -> None:
    """Whether the share in labels is that which is seen; of StyleMix, whose style has a share as well, it is not."""
    for values in (told.drawn, told.share, told.label, *([] if told.mask is None else [told.mask])):
        require(((values >= 0) & (values <= 1 + 1e-6)).all(), "shares outside [0, 1]")
    if told.mask is not None and told.shares is None and not is_style:
        seen = told.mask.reshape(len(told.mask), -1).mean(axis=1)
        require(np.abs(seen - told.label).max(initial=0) < 1e-5, "labels do not follow what is seen")
    if told.shares is not None:
        require(np.abs(told.shares.sum(axis=1) - 1).max(initial=0) < 1e-5, "shares do not sum to 1")
        size = told.shares.shape[1]
        seen = [
            np.mean([np.mean(rows == at, axis=tuple(range(1, rows.ndim))) for rows in told.sources], axis=0)
            for at in range(size)
        ]
        require(np.abs(np.stack(seen, 1) - told.shares).max(initial=0) < 1e-5, "labels do not follow what is seen")


def soft(y: np.ndarray, classes: Any) -> np.ndarray:
    """Targets as they are mixed: of integers, soft ones."""
    if classes is None or y.dtype.kind == "f":
        return y.astype(np.float64)
    y = y[..., 0] if y.ndim > 1 and y.shape[-1] == 1 else y
    return np.eye(classes)[y]


def factors(y: np.ndarray, weight: Any, batch: Batch) -> list[np.ndarray]:
    """What multiplies the share of each sample in this target: its weight, that of its class, whether it is there."""
    found = [] if weight is None else [np.asarray(weight, np.float64)]
    given = batch.options.get("class_weight")
    if given is not None:
        table = [given.get(each, 1.0) for each in range(CLASSES)] if isinstance(given, dict) else given
        labels = soft(y, CLASSES)
        found.append(labels @ np.asarray(table))
    return found


def presence(y: np.ndarray, batch: Batch) -> list[np.ndarray]:
    """Which elements of a target are there, where a mask of the features is as long."""
    if "masks" not in batch.options:
        return []
    there = np.asarray(batch.x["there"], np.float64)
    return [there] if y.ndim > 2 and y.shape[1] == there.shape[1] else []


def remixed(own: np.ndarray, other: np.ndarray, share: np.ndarray, rule: Any) -> np.ndarray:
    """Remix: the rarer class alone, where the other is kappa times as frequent and its own share is below tau."""
    ours, theirs = (np.asarray(rule.counts)[side.argmax(axis=1)] for side in (own, other))
    to_partner = (ours / theirs >= rule.kappa) & (share < np.float32(rule.tau))
    to_itself = (theirs / ours >= rule.kappa) & (np.float32(1) - share.astype(np.float32) < np.float32(rule.tau))
    return np.where(to_partner, 0.0, np.where(to_itself, 1.0, share))


def target(
    first: Any, second: Any, told: Told, batch: Batch, other_batch: Batch, rule: Any = None
) -> tuple[np.ndarray, ...]:
    """The sample's target, its partner's, its share, and what the mixture counts (None for all alike).

    Args:
        first, second: of each batch, a target `(batch, ...)`, its weight or None, and its number of classes or None.
    """
    (y, weight, classes), (y2, weight2, _) = first, second
    values, others = soft(y, classes), soft(y2, classes)
    by_place = has_places(values.shape, told, is_target=True)
    own, other = sides(values, others, told, by_place)
    share = told.mask if by_place and told.mask is not None else told.label
    if rule is not None:
        share = remixed(own, other, share, rule)
    counts = [
        factors(y, weight, batch) + presence(values, batch),
        factors(y2, weight2, batch) + presence(others, other_batch),
    ]
    if not counts[0]:
        return own, other, share, None
    rank = max(share.ndim, *(each.ndim for each in counts[0]))
    ours, theirs = aligned(share, rank), aligned(1 - share, rank)
    for mine, yours in zip(*counts, strict=True):
        of_places = by_place and mine.ndim > 1
        a, b = sides(mine, yours, told, of_places)
        ours, theirs = ours * aligned(a, rank), theirs * aligned(b, rank)
    total = ours + theirs
    with np.errstate(all="ignore"):
        share = np.where(total > 0, ours / total, np.broadcast_to(aligned(share, rank), total.shape))
    return own, other, share, total
