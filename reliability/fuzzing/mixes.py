"""Random mixes: every layer, pairing, ratio, blend and weight, with options of all sizes."""

from collections.abc import Callable
from typing import Any

import numpy as np
from fuzzing.batches import CLASSES, Batch, one_of

import kmix_tf
from kmix_tf.seeding import random_uniform  # the same under XLA, as TensorFlow's own is not

ALPHAS = (1e-3, 1e-2, 0.2, 1.0, 1.0, 1.0, 4.0, 100.0, 1e6)
# Layers that cut or fade by place, and what each may be told besides.
CUTTING: dict[str, Callable[..., dict[str, Any]]] = {
    "CutMixLayer": lambda rng, most: {},
    "FMixLayer": lambda rng, most: {"decay": one_of(rng, [1.5, 3.0, 5.0])},
    "GridMixLayer": lambda rng, most: {"grid": int(rng.integers(2, most + 1))},
    "SmoothMixLayer": lambda rng, most: {},
    "AttentiveMixLayer": lambda rng, most: {"grid": int(rng.integers(2, most + 1))},
    "SaliencyMixLayer": lambda rng, most: {},
    "ResizeMixLayer": lambda rng, most: {"resize": one_of(rng, ["nearest", "nearest", "area"])},
}
KINDS = ("MixLayer", "KMixupLayer", "KMixupLayer", "MultiMixLayer", "LocalMixupLayer", *CUTTING)
RARE = ("PuzzleMixLayer", "CoMixupLayer", "ChoiceLayer", "AlignMixBlend", "StyleMixBlend", "StyleCutMixBlend")


def half(image: Any) -> Any:
    """An encoder for StyleMix: half of the values each, so that there is something to decode."""
    return image * 0.5


def double(features: Any) -> Any:
    """The decoder that belongs to it."""
    return features * 2.0


def weight(rng: np.random.Generator) -> Any:
    """A weight by distance, or None."""
    far = one_of(rng, ["keep", "drop"])
    return one_of(
        rng,
        [
            lambda: None,
            lambda: None,
            lambda: None,
            lambda: kmix_tf.EqualWeight(),
            lambda: kmix_tf.ThresholdWeight(one_of(rng, [0.0, 1.0, 5.0, "quantile:0.4"]), far),
            lambda: kmix_tf.ExponentialWeight(one_of(rng, [0.0, 1e-3, 1.0, "quantile:0.5"])),
            lambda: kmix_tf.NearestNeighborWeight(one_of(rng, [1, 2, 5, 50]), far),
        ],
    )()


def pairing(rng: np.random.Generator, solver: str, of_classes: bool) -> Any:
    """A pairing; such as ask for classes only where there are any."""
    k = int(rng.integers(1, 71)) if solver == "host" else int(rng.integers(1, 6))
    cost, is_mutual = one_of(rng, kmix_tf.pairing.transport.COSTS), bool(rng.random() < 0.3)
    matched = kmix_tf.OptimalTransportPairing(k, cost, solver, mutual=is_mutual)
    made = [
        kmix_tf.RandomPairing(),
        kmix_tf.RandomPairing(with_itself=True),
        kmix_tf.RandomPairing(mutual=True),
        matched,
        kmix_tf.NearestNeighborPairing(k),
        kmix_tf.RepeatedPairing(kmix_tf.RandomPairing(), 2),
        kmix_tf.RepeatedPairing(matched, 3),
    ]
    by_class = [
        kmix_tf.SameClassPairing(),
        kmix_tf.OtherClassPairing(missing="any"),
        kmix_tf.LabelDistancePairing(one_of(rng, [1e-3, 1.0])),
    ]
    return one_of(rng, [*made, *(by_class if of_classes else [])])


def ratio(rng: np.random.Generator, paired: Any) -> Any:
    """A ratio that fits a pairing: for pairs only where these are mutual, and as many as it makes."""
    times = paired.mixtures or one_of(rng, [1, 1, 1, 2, 3])
    scope = one_of(rng, ["batch", "group", "sample", *(["pair"] if paired.mutual else [])])
    return one_of(
        rng,
        [
            lambda: kmix_tf.BetaRatio(one_of(rng, ALPHAS), scope, times),
            lambda: kmix_tf.BetaRatio(one_of(rng, ALPHAS), scope, times),
            lambda: kmix_tf.DistanceWarpedRatio(one_of(rng, ALPHAS[2:7]), interpolations=times),
            lambda: kmix_tf.UniformRatio(0.25, 1.0, scope, times),
            lambda: kmix_tf.DistributionRatio(random_uniform, scope, times),
        ],
    )()


def asked(rng: np.random.Generator, kind: str, is_compiled: bool) -> dict[str, Any]:
    """What a layer of this kind will ask of its batch."""
    told: dict[str, Any] = {"axes": 0, "host": not is_compiled, "of_classes": bool(rng.random() < 0.4)}
    if kind in CUTTING:
        told["axes"] = one_of(rng, [1, 2, 2, 3])
    if kind in RARE:
        told.update(axes=2, plain=kind != "ChoiceLayer")
    if kind in ("CoMixupLayer", "AlignMixBlend", "StyleMixBlend", "StyleCutMixBlend"):
        told.update(of_classes=True, weightless=True)
    told["packed"] = bool(rng.random() < 0.15 and kind not in ("CoMixupLayer", "ChoiceLayer"))
    return told


def layer(rng: np.random.Generator, kind: str, told: dict[str, Any], batch: Batch) -> Any:
    """A random layer of a kind.

    Args:
        told: as `asked` gave it. batch: that it is for.
    """
    solver = "graph" if told["host"] is False else one_of(rng, ["host", "host", "host", "graph"])
    options = {**batch.options, "probability": one_of(rng, [1.0, 1.0, 1.0, 0.5])}
    if told["packed"]:
        options["targets"] = "packed"
    if kind == "ChoiceLayer":
        return choice(rng, options, solver)
    if kind == "CoMixupLayer":
        return kmix_tf.CoMixupLayer(part=one_of(rng, [2, 4]), blocks=2, **options)
    if told["of_classes"] and rng.random() < 0.2 and not told["packed"]:
        options["label_shares"] = kmix_tf.RemixShares([90, 30, 9, 1][:CLASSES])
    if kind in ("MixLayer", "AlignMixBlend", "StyleMixBlend", "StyleCutMixBlend"):
        paired = kmix_tf.RandomPairing() if kind != "MixLayer" else pairing(rng, solver, told["of_classes"])
        shares = kmix_tf.BetaRatio(one_of(rng, ALPHAS), "sample") if kind != "MixLayer" else ratio(rng, paired)
        return kmix_tf.MixLayer(paired, shares, blend(kind), weight(rng), **options)
    return preset(rng, kind, batch.places, {**options, **common(rng, solver)})


def blend(kind: str) -> Any:
    """The blend of a layer that has none of its own."""
    if kind == "AlignMixBlend":
        return kmix_tf.AlignMixBlend()
    return None if kind == "MixLayer" else getattr(kmix_tf, kind)(half, double)


def common(rng: np.random.Generator, solver: str) -> dict[str, Any]:
    """What all presets take."""
    return {
        "alpha": one_of(rng, ALPHAS),
        "k": int(rng.integers(1, 71)) if solver == "host" else int(rng.integers(1, 6)),
        "solver": solver,
        "cost": one_of(rng, kmix_tf.pairing.transport.COSTS),
        "scope": one_of(rng, ["batch", "group", "sample", "pair"]),
        "weight": weight(rng),
        "interpolations": one_of(rng, [1, 1, 1, 2, 3]),
    }


def preset(rng: np.random.Generator, kind: str, places: tuple[int, ...], options: dict[str, Any]) -> Any:
    """A layer that is named after a paper."""
    if kind in CUTTING:
        options.update(axes=len(places), **CUTTING[kind](rng, min(places)))
    if kind == "ResizeMixLayer":
        del options["alpha"]
        options["scale"] = one_of(rng, [(0.1, 0.8), (0.0, 1.0), (0.5, 0.5)])
    if kind == "PuzzleMixLayer":
        options.update(blocks=2, n_labels=one_of(rng, [2, 3]), transport=bool(rng.random() < 0.5))
    return getattr(kmix_tf, kind)(**options)


def choice(rng: np.random.Generator, options: dict[str, Any], solver: str) -> Any:
    """A choice of two mixes, and of none now and then."""
    probability = options.pop("probability")
    mixes = [
        kmix_tf.KMixupLayer(3, one_of(rng, ALPHAS), solver=solver, weight=weight(rng), **options),
        kmix_tf.CutMixLayer(one_of(rng, ALPHAS), scope="sample", **options),
        *([None] if rng.random() < 0.5 else []),
    ]
    return kmix_tf.ChoiceLayer(mixes, per=one_of(rng, ["batch", "batch", "sample"]), probability=probability)
