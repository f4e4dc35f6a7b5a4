"""The authors' recipe: mixup at the input in half of the steps, aligned mixtures of the last map in the others."""

import keras
import numpy as np
import pytest

from kmix_tf import AlignMixBlend, BetaRatio, ManifoldMixModel, MixLayer


def network():
    inputs = keras.Input((6, 6, 1))
    x = keras.layers.Conv2D(4, 3, activation="relu", name="last_map")(inputs)
    x = keras.layers.GlobalAveragePooling2D(name="pooled")(x)
    return keras.Model(inputs, keras.layers.Dense(2)(x))


def recipe(**options):
    mix = {
        "input": MixLayer(ratio=BetaRatio(2.0), num_classes=2),
        "last_map": MixLayer(ratio=BetaRatio(2.0), blend=AlignMixBlend(), num_classes=2),
    }
    keras.utils.set_random_seed(5)
    return ManifoldMixModel(network(), list(mix), mix, seed=0, **options)


def bars(count):
    """Images of a bar that lies, or stands."""
    y, x = np.arange(count) % 2, np.zeros([count, 6, 6, 1], np.float32)
    for row, (standing, place) in enumerate(zip(y, np.arange(count) // 2 % 6, strict=True)):
        x[(row, slice(None), place) if standing else (row, place)] = 1
    return x, y


@pytest.mark.parametrize("jit_compile", [False, pytest.param(True, marks=pytest.mark.matrix)])
def test_a_network_learns_by_the_recipe(jit_compile):
    from_logits = keras.losses.CategoricalCrossentropy(from_logits=True)
    model = recipe()
    model.compile(keras.optimizers.Adam(0.03), from_logits, jit_compile=jit_compile)
    x, y = bars(48)
    before = model.evaluate(x, y, verbose=0)
    model.fit(x, y, batch_size=16, epochs=12, verbose=0)
    assert model.evaluate(x, y, verbose=0) < 0.6 * before


def test_steps_are_the_same_compiled_and_not():
    x, y = bars(16)
    weights = []
    for jit_compile in (False, True):
        model = recipe()
        model.compile("sgd", keras.losses.CategoricalCrossentropy(from_logits=True), jit_compile=jit_compile)
        model.fit(x, y, batch_size=8, epochs=3, shuffle=False, verbose=0)
        weights.append(model.model.get_weights())
    for ours, theirs in zip(*weights, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_a_place_without_places_is_refused_in_training():
    model = ManifoldMixModel(network(), ["pooled"], MixLayer(blend=AlignMixBlend(), num_classes=2))
    model.compile("sgd", keras.losses.CategoricalCrossentropy(from_logits=True))
    with pytest.raises(ValueError, match=r"MixLayer: features must have 2 axes of places .*before global pooling"):
        model.fit(*bars(8), verbose=0)


def test_padded_sequences_are_refused_in_hidden_layers():
    inputs = keras.Input((5,), dtype="int32")
    x = keras.layers.Embedding(7, 3, mask_zero=True, name="embedding")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.GlobalAveragePooling1D()(x)))
    mixing = ManifoldMixModel(model, ["embedding"], MixLayer(blend=AlignMixBlend(1), num_classes=2))
    mixing.compile("sgd", keras.losses.CategoricalCrossentropy(from_logits=True))
    with pytest.raises(ValueError, match=r"a mask of padding"):
        mixing.fit(np.tile([3, 1, 2, 0, 0], (4, 1)), np.arange(4) % 2, verbose=0)
