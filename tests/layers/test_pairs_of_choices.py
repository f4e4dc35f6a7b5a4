"""Every choice of one decision with every choice of another: it mixes, or a sentence says why not."""

import inspect
import itertools

import numpy as np
import pytest
import tensorflow as tf

import kmix_tf
from kmix_tf import (
    AlignMixBlend,
    AttentiveMixBlend,
    BetaRatio,
    CoMixupBlend,
    CutMixBlend,
    DistanceWarpedRatio,
    DistributionRatio,
    EqualWeight,
    ExponentialWeight,
    FMixBlend,
    GridMixBlend,
    LabelDistancePairing,
    LinearBlend,
    MixLayer,
    NearestNeighborPairing,
    NearestNeighborWeight,
    OptimalTransportPairing,
    OtherClassPairing,
    PuzzleMixBlend,
    RandomPairing,
    RemixShares,
    RepeatedPairing,
    ResizeMixBlend,
    SaliencyMixBlend,
    SameClassPairing,
    ScaleRatio,
    SmoothMixBlend,
    StyleCutMixBlend,
    StyleMixBlend,
    ThresholdWeight,
    UniformRatio,
    unpack_targets,
)

SIZE, SIDE, CLASSES = 6, 4, 3
X = np.random.default_rng(0).random((SIZE, SIDE, SIDE, 2), np.float32)
Y, VALUES = np.arange(SIZE) % CLASSES, np.linspace(0, 1, CLASSES)
# The last channel says everywhere which class it is: in a mixture, its mean says how much of which is seen.
X[..., -1] = VALUES[Y, None, None]


def folded(x):
    return tf.nn.space_to_depth(x, 2)


def unfolded(x):
    return tf.nn.depth_to_space(x, 2)


def arcsine(shape, seed):
    return tf.sin(tf.random.stateless_uniform(shape, seed) * 1.5707963) ** 2


# Of each decision every class that the library has, with what changes who meets whom, how often, and on which device.
CHOICES = {
    "pairing": {
        "RandomPairing": RandomPairing,
        "mutual": lambda: RandomPairing(mutual=True),
        "with itself": lambda: RandomPairing(with_itself=True),
        "k = 3": lambda: OptimalTransportPairing(3, solver="graph"),
        "k = 2, mutual, host": lambda: OptimalTransportPairing(2, mutual=True),
        "NearestNeighborPairing": lambda: NearestNeighborPairing(2),
        "SameClassPairing": SameClassPairing,
        "OtherClassPairing": OtherClassPairing,
        "LabelDistancePairing": lambda: LabelDistancePairing(0.5),
        "RepeatedPairing": lambda: RepeatedPairing(OptimalTransportPairing(3, solver="graph"), 2),
    },
    "ratio": {
        "BetaRatio": BetaRatio,
        "no mixing": lambda: BetaRatio(0.0),
        "of groups": lambda: BetaRatio(0.5, "group"),
        "of samples": lambda: BetaRatio(0.5, "sample"),
        "of pairs": lambda: BetaRatio(0.5, "pair"),
        "two interpolations": lambda: BetaRatio(interpolations=2),
        "three interpolations": lambda: BetaRatio(interpolations=3),
        "DistributionRatio": lambda: DistributionRatio(arcsine),
        "DistanceWarpedRatio": lambda: DistanceWarpedRatio(interpolations=2),
        "UniformRatio": lambda: UniformRatio(0.5, 1.0),
        "ScaleRatio": lambda: ScaleRatio(scope="sample"),
    },
    "blend": {
        "LinearBlend": LinearBlend,
        "CutMixBlend": CutMixBlend,
        "CutMix of pairs": lambda: CutMixBlend(scope="pair"),
        "FMixBlend": FMixBlend,
        "SaliencyMixBlend": SaliencyMixBlend,
        "PuzzleMixBlend": lambda: PuzzleMixBlend(blocks=2, transport_blocks=2),
        "Puzzle Mix in the graph": lambda: PuzzleMixBlend(blocks=2, transport=False, solver="graph"),
        "ResizeMixBlend": ResizeMixBlend,
        "GridMixBlend": lambda: GridMixBlend(2),
        "SmoothMixBlend": SmoothMixBlend,
        "AttentiveMixBlend": lambda: AttentiveMixBlend(2),
        "AlignMixBlend": AlignMixBlend,
        "StyleMixBlend": lambda: StyleMixBlend(folded, unfolded),
        "StyleCutMixBlend": lambda: StyleCutMixBlend(folded, unfolded),
        "CoMixupBlend": lambda: CoMixupBlend(blocks=2),
    },
    "weight": {
        "EqualWeight": EqualWeight,
        "ThresholdWeight": lambda: ThresholdWeight("quantile:0.5"),
        "threshold, dropped": lambda: ThresholdWeight("quantile:0.5", far="drop"),
        "NearestNeighborWeight": lambda: NearestNeighborWeight(2),
        "ExponentialWeight": lambda: ExponentialWeight(0.1),
    },
    "label_shares": {"RemixShares": lambda: RemixShares([9, 3, 1])},
    "targets": {"mixed": lambda: "mixed", "packed": lambda: "packed", "packed classes": lambda: "packed"},
    "loaders": {"one": lambda: False, "two": lambda: True},
}

# Blends whose values are no averages of both samples' by the shares that labels have.
SHOW_OTHER_SHARES = (AlignMixBlend, StyleMixBlend, StyleCutMixBlend)

BASES = {
    "pairing": kmix_tf.PairingStrategy,
    "ratio": kmix_tf.RatioStrategy,
    "blend": kmix_tf.BlendStrategy,
    "weight": kmix_tf.WeightStrategy,
}


def gathers(made):
    blend = made.get("blend")
    return blend is not None and blend.gathers


def refused(names, made):
    """A part of the sentence that refuses a pair of choices, or None if it must work."""
    decisions = set(names)
    if gathers(made):
        (other,) = decisions - {"blend"}
        if other == "loaders":
            return "takes them of one batch" if made["loaders"] else None
        defaults = ("RandomPairing", "BetaRatio", "EqualWeight", "mixed")
        return None if names[other] in defaults else f"CoMixupBlend with {other}="
    by_pair = [each for each in ("ratio", "blend") if each in made and made[each].by_pair]
    if by_pair and not (made.get("pairing") and made["pairing"].mutual):
        return f"pairing must be mutual for a {by_pair[0]} with scope='pair'"
    if decisions == {"pairing", "ratio"}:
        times, several = made["pairing"].mixtures, made["ratio"].mixtures
        if times is not None and several not in (None, times):
            return "interpolations must be 1 or 2"
    if (names.get("pairing"), names.get("targets")) == ("LabelDistancePairing", "packed classes"):
        return "pairing by distance needs float targets"
    return BETWEEN_LOADERS.get(names.get("pairing")) if made.get("loaders") else None


BETWEEN_LOADERS = {
    "SameClassPairing": "two loaders cannot be paired by class",
    "OtherClassPairing": "two loaders cannot be paired by class",
    "LabelDistancePairing": "two loaders",
}


@pytest.mark.parametrize("decision", BASES)
def test_every_class_of_a_decision_is_walked(decision):
    public = {
        name
        for name, value in vars(kmix_tf).items()
        if inspect.isclass(value) and issubclass(value, BASES[decision]) and value is not BASES[decision]
    }
    walked = {type(make()).__name__ for make in CHOICES[decision].values()}
    assert public == walked, "add it to CHOICES, so that it is walked with all others"


@pytest.mark.usefixtures("plain_functions")
class TestPairs:
    @pytest.mark.parametrize("decisions", list(itertools.combinations(CHOICES, 2)), ids="-".join)
    def test_it_mixes_or_says_why_not(self, decisions):
        for one, other in itertools.product(*(CHOICES[decision] for decision in decisions)):
            names = dict(zip(decisions, (one, other), strict=True))
            made = {decision: CHOICES[decision][name]() for decision, name in names.items()}
            sentence = refused(names, made)
            if sentence is None:
                check(names, made)
                continue
            with pytest.raises((TypeError, ValueError), match=r"^[A-Z][A-Za-z]+: ") as raised:
                mixed_by(names, made)
            assert sentence in str(raised.value), names

    @pytest.mark.parametrize("decision", BASES)
    def test_a_choice_that_is_refused_with_some_works_with_others(self, decision):
        for name, make in CHOICES[decision].items():
            value = make()
            pairing = {"pairing": RandomPairing(mutual=True)} if getattr(value, "by_pair", False) else {}
            check({decision: name}, {decision: value, **pairing})


def mixed_by(names, made):
    """The layer of these choices, and what it makes of one batch, or of two."""
    options = {decision: value for decision, value in made.items() if decision != "loaders"}
    classes = None if names.get("targets") == "packed classes" else CLASSES
    layer = MixLayer(**options, num_classes=classes)
    if made.get("loaders"):
        return layer, layer.between((X, Y), (X[::-1].copy(), Y[::-1].copy()), seed=3)
    return layer, layer(X, Y, seed=3)


def check(names, made):
    layer, (x, y, *weights) = mixed_by(names, made)
    count = SIZE * (layer.mixtures or 1)
    assert x.shape == (count, SIDE, SIDE, 2) and x.dtype == tf.float32, names
    assert np.isfinite(x).all(), names
    assert len(weights) == (not layer.weight.counts_alike and layer.targets == "mixed"), names
    y = np.asarray(targets_of(y) if layer.targets == "packed" else y)
    assert y.shape == (count, CLASSES), names
    np.testing.assert_allclose(y.sum(axis=1), 1, atol=1e-5, err_msg=str(names))
    if layer.label_shares is None and type(layer.blend) not in SHOW_OTHER_SHARES:
        seen = np.mean(x[..., -1], axis=(1, 2))
        np.testing.assert_allclose(y @ VALUES, seen, atol=1e-5, err_msg=str(names))
    for weight in weights:
        assert weight.shape == (count,) and np.all(weight >= 0), names
        np.testing.assert_allclose(np.mean(weight), 1, atol=1e-5, err_msg=str(names))
    if names.get("ratio") == "no mixing":
        times = layer.mixtures or 1
        np.testing.assert_array_equal(x, np.tile(X, (times, 1, 1, 1)), err_msg=str(names))
        np.testing.assert_array_equal(y, np.tile(np.eye(CLASSES)[Y], (times, 1)), err_msg=str(names))


def targets_of(packed):
    first, second, ratio, _ = (np.asarray(part) for part in unpack_targets(packed))
    if first.shape[-1] == 1:  # of classes
        first, second = (np.eye(CLASSES)[each[:, 0, 0].astype(int)] for each in (first, second))
        ratio = ratio[:, 0]
    return ratio[:, np.newaxis] * first + (1 - ratio[:, np.newaxis]) * second
