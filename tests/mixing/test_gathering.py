"""Blends that gather any number of samples: labels, maps and weights follow, and what makes pairs is refused."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from kmix_tf import (
    BetaRatio,
    Blended,
    BlendStrategy,
    ChoiceLayer,
    CutMixLayer,
    ExponentialWeight,
    KMixupLayer,
    LocalMixupLayer,
    MixLayer,
    MultiMixLayer,
    OptimalTransportPairing,
    RandomPairing,
    RemixShares,
    RescaledModel,
    mix,
)
from kmix_tf.blend.sources import mean_of_sources, take_sources

RNG = np.random.default_rng(3)
BATCH, HEIGHT, WIDTH = 5, 3, 4
X = RNG.normal(size=(BATCH, HEIGHT, WIDTH, 2)).astype(np.float32)
Y = np.eye(4, dtype=np.float32)[RNG.integers(0, 4, BATCH)]
SOURCES = RNG.integers(0, BATCH, (2, BATCH, HEIGHT, WIDTH)).astype(np.int32)
SOURCES[1, 2:] = SOURCES[0, 2:]


def shown_shares():
    """Of each place, how much of each sample is shown: counted one by one."""
    shares = np.zeros((BATCH, HEIGHT, WIDTH, BATCH))
    for source, (mixture, row, column) in itertools.product(SOURCES, np.ndindex(BATCH, HEIGHT, WIDTH)):
        shares[mixture, row, column, source[mixture, row, column]] += 0.5
    return shares


SHARES = shown_shares()


class Collage(BlendStrategy):
    """Shows at each place the mean of two rows, the same ones for every batch."""

    axes = 2
    gathers = True

    def __call__(self, first, second, partner, ratio, seed):
        sources = tuple(tf.constant(source) for source in SOURCES)
        shares = tf.constant(SHARES.mean(axis=(1, 2)), tf.float32)
        return Blended([mean_of_sources(leaf, sources) for leaf in first], ratio, shares=shares, sources=sources)


def by_place(values):
    """The sum over samples of share x value, place by place."""
    return np.einsum("mhwb,bhw...->mhw...", SHARES, np.asarray(values, np.float64))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int32"])
def test_what_is_shown_at_each_place_is_the_mean_of_its_rows(dtype):
    values = (100 * X).astype(dtype)
    mixed = mean_of_sources(tf.constant(values), list(map(tf.constant, SOURCES)))
    assert mixed.dtype == ("float32" if dtype == "int32" else dtype)
    rtol = {"float16": 2e-3, "float64": 1e-12}.get(dtype, 1e-5)
    np.testing.assert_allclose(mixed, by_place(values), rtol=rtol, atol=rtol)
    rows, columns = np.arange(HEIGHT)[:, np.newaxis], np.arange(WIDTH)
    assert (mixed.numpy()[2:] == values[SOURCES[0, 2:], rows, columns]).all()  # one row: exactly what it has
    taken = take_sources(tf.constant(values), tf.constant(SOURCES[1]))
    assert (taken.numpy() == values[SOURCES[1], rows, columns]).all()


@pytest.mark.parametrize("in_map", [False, True])
def test_maps_are_mixed_place_by_place_and_labels_by_shares(in_map):
    maps = np.eye(3, dtype=np.float32)[RNG.integers(0, 3, (BATCH, HEIGHT, WIDTH))]
    there = RNG.random((BATCH, HEIGHT, WIDTH)) < 0.5
    layer, x, y = MixLayer(blend=Collage(), masks="there"), {"x": X, "there": there}, {"label": Y, "map": maps}
    if in_map:
        mixed, targets = next(iter(tf.data.Dataset.from_tensors((x, y)).apply(mix(layer, seed=0))))
    else:
        mixed, targets = layer(x, y)
    np.testing.assert_allclose(mixed["x"], by_place(X), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(targets["label"], SHARES.mean(axis=(1, 2)) @ Y, rtol=1e-5, atol=1e-6)
    # Each place has the target of those that are there; where neither is, that of both.
    present = by_place(there)[..., np.newaxis]
    of_those = by_place(maps * there[..., np.newaxis]) / np.where(present > 0, present, 1)
    np.testing.assert_allclose(targets["map"], np.where(present > 0, of_those, by_place(maps)), rtol=1e-5, atol=1e-6)
    assert (mixed["there"].numpy() == (by_place(there) > 0)).all()


@pytest.mark.parametrize("of_places", [False, True])
def test_weights_of_maps_are_of_places(of_places):
    maps = RNG.normal(size=(BATCH, HEIGHT, WIDTH, 1)).astype(np.float32)
    shape = (BATCH, HEIGHT, WIDTH) if of_places else (BATCH,)
    weight = RNG.uniform(0.5, 2, size=shape).astype(np.float32)
    _, y, counts = MixLayer(blend=Collage())(X, maps, weight)
    full = weight if of_places else np.broadcast_to(weight[:, np.newaxis, np.newaxis], (BATCH, HEIGHT, WIDTH))
    total = by_place(full)
    np.testing.assert_allclose(counts, total, rtol=1e-5)
    np.testing.assert_allclose(
        y, by_place(full[..., np.newaxis] * maps) / total[..., np.newaxis], rtol=1e-4, atol=1e-5
    )


def test_maps_of_weights_need_an_axis_of_their_own():
    maps, weight = X[..., 0], np.ones(BATCH, np.float32)
    with pytest.raises(ValueError, match="MixLayer: maps that are pasted with weights need an axis"):
        MixLayer(blend=Collage())(X, maps, weight)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: MixLayer(OptimalTransportPairing(4), blend=Collage()), "no pairs to match.*pairing="),
        (lambda: MixLayer(RandomPairing(mutual=True), blend=Collage()), "no pairs to match.*pairing=RandomPairing"),
        (lambda: KMixupLayer(2, blend=Collage()), "no pairs to match"),
        (lambda: MixLayer(ratio=BetaRatio(interpolations=3), blend=Collage()), "one mixture for each row.*ratio="),
        (lambda: MultiMixLayer(3, blend=Collage()), "no pairs to match"),
        (lambda: MixLayer(ratio=lambda group, seed: 0.5, blend=Collage()), "its own shares of each"),
        (lambda: MixLayer(weight=ExponentialWeight(0.1), blend=Collage()), "no distance of a pair.*weight="),
        (lambda: LocalMixupLayer(0.5, blend=Collage()), "no pairs to match|no distance of a pair"),
        (lambda: MixLayer(blend=Collage(), targets="packed"), "no two targets to pack"),
        (lambda: MixLayer(blend=Collage(), match_on="x"), "no distances of pairs.*match_on="),
        (lambda: MixLayer(blend=Collage(), embedding=tf.identity), "no distances of pairs.*embedding="),
        (
            lambda: MixLayer(blend=Collage(), num_classes=3, label_shares=RemixShares([3, 2, 1])),
            "no two shares for a rule.*label_shares=",
        ),
    ],
)
def test_what_makes_pairs_is_refused_in_one_sentence(make, said):
    with pytest.raises(ValueError, match=rf"Layer: a blend that gathers samples itself mixes any number.*{said}"):
        make()


def test_two_loaders_and_learning_from_pairs_are_refused():
    layer = MixLayer(blend=Collage())
    with pytest.raises(ValueError, match=r"MixLayer: .* takes them of one batch. Received: Collage and two loaders"):
        layer.between((X, Y), (X, Y))
    with pytest.raises(ValueError, match=r"MixLayer: there must be pairs .* Received: Collage, which makes none"):
        layer.adapt(X)


def test_predictions_are_not_rescaled_by_a_ratio_that_was_not_used():
    model = keras.Sequential([keras.layers.Input((HEIGHT, WIDTH, 2)), keras.layers.Flatten()])
    with pytest.raises(TypeError, match=r"RescaledModel: alpha is for mixtures of two .* theta='measured'"):
        RescaledModel(model, MixLayer(blend=Collage()), output="regression")


def test_it_may_be_chosen_beside_others_and_comes_back_from_its_config():
    choice = ChoiceLayer([MixLayer(blend=Collage()), CutMixLayer()], per="sample")
    mixed, y = choice(X, Y, seed=4)
    assert mixed.shape == X.shape
    np.testing.assert_allclose(tf.reduce_sum(y, axis=1), 1, rtol=1e-6)
    again = MixLayer.from_config(MixLayer(blend=Collage()).get_config() | {"blend": Collage()})
    np.testing.assert_array_equal(again(X, Y, seed=1)[0], MixLayer(blend=Collage())(X, Y, seed=2)[0])
