"""Every choice of one decision with every choice of another: it mixes, or the layer says in one sentence why not.

A new class of a decision belongs into `CHOICES`; what it refuses, into `REFUSED`, with the sentence.
"""

import functools
import itertools
import re

import numpy as np
import pytest
import tensorflow as tf

from kmix_tf import (
    BetaRatio,
    BlendStrategy,
    CoMixupBlend,
    CutMixBlend,
    DistanceWarpedRatio,
    DistributionRatio,
    EqualWeight,
    ExponentialWeight,
    FMixBlend,
    LabelDistancePairing,
    LabelShareStrategy,
    LinearBlend,
    MixLayer,
    NearestNeighborPairing,
    NearestNeighborWeight,
    OptimalTransportPairing,
    OtherClassPairing,
    PairingStrategy,
    PuzzleMixBlend,
    RandomPairing,
    RatioStrategy,
    RemixShares,
    RepeatedPairing,
    ResizeMixBlend,
    SaliencyMixBlend,
    SameClassPairing,
    ScaleRatio,
    ThresholdWeight,
    UniformRatio,
    WeightStrategy,
    blend,
    label_shares,
    pairing,
    ratio,
    unpack_targets,
    weight,
)

BATCH, CLASSES = 8, 3
RNG = np.random.default_rng(5)
EYE, VALUES = np.eye(CLASSES, dtype=np.float32), np.linspace(0, 1, CLASSES)
Y, OTHER_Y = np.arange(BATCH) % CLASSES, np.arange(BATCH) // 2 % CLASSES
# The first channel says which class it is, everywhere: in a mixture, its mean says how much of which is seen.
X, OTHER_X = RNG.random((2, BATCH, 8, 8, 2)).astype(np.float32)
X[..., 0], OTHER_X[..., 0] = VALUES[Y, None, None], VALUES[OTHER_Y, None, None]


def uniform(shape, seed):
    return tf.random.stateless_uniform(shape, seed)


# Of each decision, its choices by their class and, after a colon, what else is chosen. The first is what it is while
# others are walked through, as a layer's default. A ratio is made for a number of interpolations.
CHOICES = {
    "pairing": {
        "RandomPairing": lambda: RandomPairing(),
        "RandomPairing: mutual": lambda: RandomPairing(mutual=True),
        "OptimalTransportPairing: k=1": lambda: OptimalTransportPairing(1),
        "OptimalTransportPairing: k=4": lambda: OptimalTransportPairing(4),
        "OptimalTransportPairing: mutual": lambda: OptimalTransportPairing(4, solver="graph", mutual=True),
        "NearestNeighborPairing": lambda: NearestNeighborPairing(4),
        "SameClassPairing": lambda: SameClassPairing(),
        "OtherClassPairing": lambda: OtherClassPairing(),
        "LabelDistancePairing": lambda: LabelDistancePairing(0.5),
        "RepeatedPairing": lambda: RepeatedPairing(RandomPairing(), 3),
        "RepeatedPairing: twice, of k=2": lambda: RepeatedPairing(OptimalTransportPairing(2), 2),
    },
    "ratio": {
        "BetaRatio": lambda count: BetaRatio(interpolations=count),
        "BetaRatio: one a sample": lambda count: BetaRatio(1.0, "sample", count),
        "BetaRatio: one a group": lambda count: BetaRatio(1.0, "group", count),
        "BetaRatio: one a pair": lambda count: BetaRatio(1.0, "pair", count),
        "DistanceWarpedRatio": lambda count: DistanceWarpedRatio(scope="sample", interpolations=count),
        "DistributionRatio": lambda count: DistributionRatio(uniform, "sample", count),
        "ScaleRatio": lambda count: ScaleRatio(0.2, 0.8, scope="sample", interpolations=count),
        "UniformRatio": lambda count: UniformRatio(0.2, 1.0, "sample", count),
    },
    "blend": {
        "LinearBlend": lambda: LinearBlend(),
        "CutMixBlend": lambda: CutMixBlend(),
        "CutMixBlend: one a pair": lambda: CutMixBlend(scope="pair"),
        "CoMixupBlend": lambda: CoMixupBlend(part=4, blocks=2),
        "FMixBlend": lambda: FMixBlend(),
        "PuzzleMixBlend": lambda: PuzzleMixBlend(blocks=2),
        "ResizeMixBlend": lambda: ResizeMixBlend(),
        "SaliencyMixBlend": lambda: SaliencyMixBlend(),
    },
    "weight": {
        "EqualWeight": lambda: EqualWeight(),
        "ExponentialWeight": lambda: ExponentialWeight(0.1),
        "NearestNeighborWeight": lambda: NearestNeighborWeight(3),
        "ThresholdWeight": lambda: ThresholdWeight("quantile:0.5", far="drop"),
        "ThresholdWeight: far kept": lambda: ThresholdWeight("quantile:0.5"),
    },
    "label_shares": {
        "none": lambda: None,
        "RemixShares": lambda: RemixShares([5, 3, 1]),
    },
    "interpolations": {"1": lambda: 1, "3": lambda: 3},
    "targets": {
        "mixed": lambda: {"targets": "mixed", "num_classes": CLASSES},
        "packed": lambda: {"targets": "packed", "num_classes": CLASSES},
        "packed classes": lambda: {"targets": "packed"},
    },
    "loaders": {"one": lambda: False, "two": lambda: True},
}
# Blends whose values are no averages of both samples' by the shares that labels have.
SHOW_OTHER_SHARES = ()
DEFAULTS = {name: next(iter(choices)) for name, choices in CHOICES.items()}
PUBLIC = {
    "pairing": (pairing, PairingStrategy),
    "ratio": (ratio, RatioStrategy),
    "blend": (blend, BlendStrategy),
    "weight": (weight, WeightStrategy),
    "label_shares": (label_shares, LabelShareStrategy),
}


def another(choice):
    """Than the default."""
    return choice not in DEFAULTS.values()


def not_mutual(choice):
    return "mutual" not in choice


def by_class(choice):
    return choice in ("SameClassPairing", "OtherClassPairing")


# What is refused, and the sentence. A choice is named in full, by its class, or by a function of it.
REFUSED = [
    (
        {"pairing": not_mutual, "ratio": "BetaRatio: one a pair"},
        "pairing must be mutual for a ratio with scope='pair'",
    ),
    ({"pairing": not_mutual, "blend": "CutMixBlend: one a pair"}, "pairing must be mutual for a blend with scope="),
    (
        {"pairing": "RepeatedPairing: twice, of k=2", "interpolations": "3"},
        "interpolations must be 1 or 2, as many as",
    ),
    ({"pairing": "LabelDistancePairing", "targets": "packed classes"}, "pairing by distance needs float targets"),
    ({"pairing": "LabelDistancePairing", "loaders": "two"}, "cannot be paired by the distance of targets"),
    ({"pairing": by_class, "loaders": "two"}, "two loaders cannot be paired by class"),
    ({"pairing": another, "blend": "CoMixupBlend"}, "gathers samples itself.* so there are no pairs to match"),
    ({"ratio": another, "blend": "CoMixupBlend"}, "gathers samples itself.* and its own shares of each"),
    ({"interpolations": "3", "blend": "CoMixupBlend"}, "gathers samples itself.* one mixture for each row"),
    ({"weight": another, "blend": "CoMixupBlend"}, "gathers samples itself.* no distance of a pair to weigh it by"),
    ({"label_shares": another, "blend": "CoMixupBlend"}, "gathers samples itself.* so labels have no two shares"),
    ({"targets": another, "blend": "CoMixupBlend"}, "gathers samples itself.* has no two targets to pack"),
    ({"loaders": "two", "blend": "CoMixupBlend"}, "gathers samples itself takes them of one batch"),
]


def is_refused(chosen, wanted):
    """Whether all these choices are among those that an entry is of."""
    fits = []
    for name, each in wanted.items():
        own = chosen[name]
        fits.append(each(own) if callable(each) else each in (own, own.split(":")[0]))
    return all(fits)


def made(chosen, **options):
    """A layer of these choices; `options` besides or instead."""
    count = CHOICES["interpolations"][chosen["interpolations"]]()
    made_of = {name: CHOICES[name][chosen[name]]() for name in ("pairing", "blend", "weight", "label_shares")}
    made_of["ratio"] = CHOICES["ratio"][chosen["ratio"]](count)
    return MixLayer(**{**made_of, **CHOICES["targets"][chosen["targets"]](), **options})


def mixed(layer, chosen):
    """x, y and what each mixture weighs, as arrays; targets soft, or taken apart."""
    if chosen["loaders"] == "two":
        x, y, *weight = layer.between((X, Y), (OTHER_X, OTHER_Y), seed=(3, 4))
    else:
        x, y, *weight = layer(X, Y, seed=(3, 4))
    return np.asarray(x), y, np.asarray(weight[0]) if weight else None


def soft(y, chosen):
    """Soft labels of mixed or packed targets, and what each mixture weighs, where they say so."""
    if chosen["targets"] == "mixed":
        return np.asarray(y), None
    y_a, y_b, ratio, weight = (np.asarray(part) for part in unpack_targets(y))
    if chosen["targets"] == "packed classes":
        y_a, y_b = (EYE[y[:, 0, 0].astype(int)] for y in (y_a, y_b))
        ratio, weight = ratio[:, 0], weight[:, 0]
    assert (y_a.sum(axis=1) == 1).all() and (y_b.sum(axis=1) == 1).all()
    assert (ratio >= 0).all() and (ratio <= 1).all()
    return ratio[:, np.newaxis] * y_a + (1 - ratio[:, np.newaxis]) * y_b, weight


def require_sound(layer, chosen):
    x, y, weight = mixed(layer, chosen)
    labels, packed_weight = soft(y, chosen)
    count = (layer.mixtures or 1) * BATCH
    assert x.shape == (count, 8, 8, 2) and x.dtype == np.float32
    assert x.min() >= 0 and x.max() <= 1  # so it is finite, too
    assert labels.shape == (count, CLASSES) and labels.min() >= 0
    np.testing.assert_allclose(labels.sum(axis=1), 1, rtol=1e-5)
    if layer.label_shares is None and type(layer.blend) not in SHOW_OTHER_SHARES:
        np.testing.assert_allclose(x[..., 0].mean(axis=(1, 2)), labels @ VALUES, atol=1e-5)
    weights = packed_weight if weight is None else weight
    if chosen["weight"] == "EqualWeight":
        assert weights is None or (weights == 1).all()
    else:
        assert weights.shape == (count,) and weights.min() >= 0
        np.testing.assert_allclose(weights.mean(), 1, rtol=1e-5)
    if layer.weight.far != "keep":
        assert np.abs(x - np.tile(X, (count // BATCH, 1, 1, 1))).max() > 0  # something is mixed


def require_exact(layer, chosen):
    """At ratio 1 a sample is what it was."""
    x, y, _ = mixed(layer, chosen)
    times = (layer.mixtures or 1, 1)
    np.testing.assert_array_equal(x, np.tile(X, (*times, 1, 1)))
    np.testing.assert_array_equal(soft(y, chosen)[0], np.tile(EYE[Y], times))


class Whole(RatioStrategy):
    """Ratios of 1."""

    def __init__(self, count):
        self.mixtures = count if count > 1 else None

    def __call__(self, group, seed, distances=None):
        return tf.ones([BATCH] if self.mixtures is None else [self.mixtures, BATCH])


@functools.cache
def problem_of(*choices):
    """What is wrong with these choices; None if they mix, or are refused as they should, by the layer or by one of
    the decisions."""
    chosen = dict(zip(CHOICES, choices, strict=True))
    sentences = [sentence for wanted, sentence in REFUSED if is_refused(chosen, wanted)]
    shown = ", ".join(value for name, value in chosen.items() if value != DEFAULTS[name]) or "the defaults"
    try:
        layer = made(chosen)
        require_sound(layer, chosen)
        instead = {"probability": 0.0}
        if not layer.blend.gathers and chosen["ratio"] == DEFAULTS["ratio"]:
            instead = {"ratio": Whole(int(chosen["interpolations"]))}
        require_exact(made(chosen, **instead), chosen)
    except AssertionError as error:
        return f"{shown}: {error}"
    except (TypeError, ValueError, tf.errors.InvalidArgumentError) as error:
        said = str(error)
        speakers = {"MixLayer", *(value.split(":")[0] for value in chosen.values())}
        if said.split(":")[0] in speakers and any(re.search(sentence, said) for sentence in sentences):
            return None
        return f"{shown}: refused, which REFUSED does not say: {said}"
    return f"{shown}: is not refused, as REFUSED says: {sentences}" if sentences else None


def combinations(first, second):
    for ours, theirs in itertools.product(CHOICES[first], CHOICES[second]):
        yield {**DEFAULTS, first: ours, second: theirs}


PAIRS = list(itertools.combinations(CHOICES, 2))
# Blends are most likely to come anew, and do most.
REPRESENTATIVES = [pair for pair in PAIRS if "blend" in pair and "pairing" not in pair]


@pytest.mark.parametrize(("first", "second"), PAIRS)
@pytest.mark.representatives("first, second", REPRESENTATIVES)
def test_each_choice_mixes_with_each_of_another_decision_or_is_refused_in_a_sentence(plain_functions, first, second):
    problems = [problem for chosen in combinations(first, second) if (problem := problem_of(*chosen.values()))]
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("decision", PUBLIC)
def test_the_walk_has_every_public_choice(decision):
    module, base = PUBLIC[decision]
    public = {name for name in module.__all__ if isinstance(getattr(module, name), type)}
    public = {
        name for name in public if issubclass(getattr(module, name), base) and getattr(module, name) is not base
    }
    walked = {name.split(":")[0] for name in CHOICES[decision]} - {"none"}
    assert public == walked, f"add {public ^ walked} to CHOICES, and what it refuses to REFUSED"


def test_each_refusal_is_met():
    chosen = [each for pair in PAIRS for each in combinations(*pair)]
    for wanted, sentence in REFUSED:
        assert any(is_refused(each, wanted) for each in chosen), f"no pair of choices meets: {sentence}"
