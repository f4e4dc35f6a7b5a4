"""Each kind of training that eq. (22) was not derived for is warned of, by what does not hold."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

from kmix_tf import (
    ApproximateMixupModel,
    BetaRatio,
    CutMixLayer,
    ExponentialWeight,
    KMixupLayer,
    LocalMixupLayer,
    ManifoldMixModel,
    MixLayer,
    MixModel,
    MixSchedule,
    MultiMixLayer,
    NearestNeighborPairing,
    OptimalTransportPairing,
    OtherClassPairing,
    RandomPairing,
    RemixShares,
    RepeatedPairing,
    RescaledModel,
    SameClassPairing,
    ThresholdWeight,
)
from kmix_tf.analysis import theta_moments_of


def linear():
    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(4, name="hidden"), keras.layers.Dense(2)])


def said(*arguments):
    """The warnings that RescaledModel gives."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        RescaledModel(*arguments)
    return [str(each.message) for each in caught if each.category is UserWarning]


PAIRINGS = {
    "k-mixup": (
        lambda: KMixupLayer(4),
        "OptimalTransportPairing with k=4, with which inputs and targets shrink to means",
    ),
    "neighbours": (lambda: MixLayer(NearestNeighborPairing(3)), "NearestNeighborPairing with k=3"),
    "same class": (
        lambda: MixLayer(SameClassPairing()),
        "SameClassPairing.* mean of their class, and targets not at all",
    ),
    "other class": (lambda: MixLayer(OtherClassPairing()), "OtherClassPairing.* means of all other classes"),
    "repeated": (
        lambda: MixLayer(RepeatedPairing(OptimalTransportPairing(2), 3)),
        "OptimalTransportPairing with k=2",
    ),
    "own": (lambda: MixLayer(lambda features, seed: None), "the layer's pairing is <lambda>"),
}
WEIGHTS = {
    "local": lambda: LocalMixupLayer(alpha=1.0),
    "threshold": lambda: MixLayer(weight=ThresholdWeight(0.5)),
    "exponential": lambda: MixLayer(weight=ExponentialWeight(1e-3)),
}
COVERED = {
    "mixup": lambda: MixLayer(),
    "k=1": lambda: KMixupLayer(1),
    "several": lambda: MultiMixLayer(3),
    "repeated": lambda: MixLayer(RepeatedPairing(RandomPairing(), 3)),
    "neighbours of one": lambda: MixLayer(RandomPairing(), BetaRatio(0.4, "sample")),
    "seldom": lambda: MixLayer(probability=0.5),
}


def each_way(layer):
    """The layer as `alpha`, in the model, and in a model whose alpha is given besides."""
    return [
        (linear(), layer),
        (MixModel(linear(), layer),),
        (MixModel(linear(), layer), layer),
        (MixModel(linear(), layer), 1.0),
    ]


@pytest.mark.parametrize("name", PAIRINGS)
def test_pairings_that_are_not_random_are_warned_of_once(name):
    make, pattern = PAIRINGS[name]
    for arguments in each_way(make()):
        with pytest.warns(UserWarning, match=f"RescaledModel: eq. .22. is derived for partners.*{pattern}"):
            assert RescaledModel(*arguments).theta_bar == 0.75
        assert len(said(*arguments)) == 1


@pytest.mark.parametrize("name", WEIGHTS)
def test_weights_of_mixtures_are_warned_of_once(name):
    for arguments in each_way(WEIGHTS[name]()):
        (message,) = said(*arguments)
        assert "mixtures that all count the same; the layer's weight is" in message


def test_shares_in_labels_are_warned_of_once():
    for arguments in each_way(MixLayer(num_classes=2, label_shares=RemixShares([9, 1]))):
        (message,) = said(*arguments)
        assert "labels mixed as the inputs are; the layer's label_shares say otherwise" in message


def test_weights_of_classes_are_warned_of_once():
    for arguments in each_way(MixLayer(num_classes=2, class_weight={0: 1.0, 1: 9.0})):
        (message,) = said(*arguments)
        assert "classes that count alike; the layer's class_weight is not in it" in message


@pytest.mark.parametrize("name", COVERED)
def test_what_the_equation_covers_is_not_warned_of(name):
    assert [said(*arguments) for arguments in each_way(COVERED[name]())[:3]] == [[], [], []]


def test_hidden_layers_that_were_mixed_are_warned_of_and_the_model_within_is_wrapped():
    model = linear()
    for places in (["hidden"], ["input", "hidden"]):
        mixing = ManifoldMixModel(model, places, KMixupLayer(1, alpha=0.4))
        for alpha in (None, 0.4, mixing.mix):
            (message,) = said(mixing, alpha)
            assert "shrinks what comes in; the model's hidden layers 'hidden' were mixed" in message
        with pytest.warns(UserWarning):
            rescaled = RescaledModel(mixing)
        assert rescaled.model is model
        assert rescaled.alpha == 0.4
    assert said(ManifoldMixModel(model, ["input"], KMixupLayer(1))) == []
    two = {"input": KMixupLayer(1, alpha=0.4), "hidden": KMixupLayer(1, alpha=2.0)}
    assert ["alpha should be that of the mix" in each for each in said(ManifoldMixModel(model, list(two), two))] == [
        False,
        True,
    ]


def test_other_doubts_are_told_together_and_a_schedule_where_it_is_not_accounted_for():
    layer = CutMixLayer(k=2, weight=ExponentialWeight(0.1), schedule=MixSchedule(10, off_after=3))
    messages = said(linear(), layer)
    assert len(messages) == 4
    for words in ("linear mixing", "partners", "count the same", "schedule is not taken into account"):
        assert sum(words in each for each in messages) == 1
    assert not any("schedule" in each for each in said(MixModel(linear(), MixLayer(schedule=MixSchedule(10))), 1.0))


def test_the_loss_on_the_clean_batch_counts_in_theta():
    """One third of the loss is that of samples as they are, whose theta is 1; that of Beta(1, 1) has mean 3/4, and
    E min(l, 1-l)^2 = 1/12."""
    mixing = MixModel(linear(), MixLayer(), clean_weight=0.5)
    for arguments in ((mixing,), (mixing, mixing.layer)):
        rescaled = RescaledModel(*arguments)
        assert rescaled.theta_bar == pytest.approx(1 / 3 + 2 / 3 * 0.75)
        assert rescaled._theta.gamma_squared == pytest.approx(2 / 3 / 12)
        assert rescaled.alpha is None
    (message,) = said(mixing, 1.0)
    assert "alpha should be that of the mix" in message


def test_a_model_of_the_approximate_loss_tells_its_alpha():
    inner = linear()
    rescaled = RescaledModel(ApproximateMixupModel(inner, alpha=0.3))
    assert rescaled.model is inner
    assert rescaled.alpha == 0.3
    (message,) = said(ApproximateMixupModel(inner, alpha=0.3), 1.0)
    assert "the model's ApproximateMixupModel has alpha=0.3" in message


def test_theta_of_a_ratio_of_ones_own_can_be_given_for_a_model_that_holds_it():
    layer = MixLayer(ratio=lambda group, seed: tf.random.stateless_uniform(tf.shape(group), seed))
    mixing, theta = MixModel(linear(), layer), theta_moments_of(lambda ratio: np.ones_like(ratio))
    assert said(mixing, theta) == []
    with pytest.raises(TypeError, match="theta_moments_of"):
        RescaledModel(mixing)


def test_targets_that_rode_along_are_warned_of():
    inputs = keras.Input((3,))
    outputs = {name: keras.layers.Dense(2, name=name)(inputs) for name in ("label", "kept")}
    rescaled = RescaledModel(keras.Model(inputs, outputs), MixLayer(passthrough="kept"))
    x, y = np.eye(3, dtype=np.float32), {"label": np.array([0, 1, 0]), "kept": np.array([0, 1, 1])}
    with pytest.warns(UserWarning, match=r"RescaledModel: .*targets\['kept'\], which passthrough names"):
        rescaled.adapt(x, y)
