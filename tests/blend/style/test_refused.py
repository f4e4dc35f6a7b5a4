"""Options, networks and places that do not fit are refused, each in words that say what would."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kmix_tf import ManifoldMixModel, MixLayer, StyleCutMixBlend, StyleMixBlend

RNG = np.random.default_rng(15)
BOTH = pytest.mark.parametrize("cls", [StyleMixBlend, StyleCutMixBlend])


def images(*shape):
    return RNG.uniform(size=shape).astype(np.float32)


def test_hidden_layers_are_refused(networks):
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Conv2D(4, 3, padding="same", name="map")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(x)))
    layer = MixLayer(blend=StyleMixBlend(*networks), num_classes=2)
    with pytest.raises(ValueError, match=r"ManifoldMixModel: a blend that stops gradients .* StyleMixBlend at 'map'"):
        ManifoldMixModel(model, ["input", "map"], layer)
    with pytest.raises(ValueError, match=r"StyleMixBlend at 'map'"):
        ManifoldMixModel(model, ["input", "map"], {"input": MixLayer(num_classes=2), "map": layer})
    assert ManifoldMixModel(model, ["input"], layer).mix is layer


BAD = {
    "axes": [0, 4],
    "style_alpha": [-1, float("nan"), "much"],
    "content_share": [-0.1, 1.1],
    "scope": ["pair", None],
}


@BOTH
@pytest.mark.parametrize(("name", "value"), [(n, v) for n, values in BAD.items() for v in values])
def test_other_options_are_refused(cls, name, value, networks):
    with pytest.raises(ValueError, match=rf"{cls.__name__}: {name} must be .* Received: {name}="):
        cls(*networks, **{name: value})


@BOTH
def test_what_is_no_network_is_refused(cls, networks):
    folded, unfolded = networks
    with pytest.raises(TypeError, match=rf"{cls.__name__}: encoder must be a Keras model or a callable"):
        cls("vgg", unfolded)
    with pytest.raises(TypeError, match=r"decoder must be .*with brackets: Flatten\(\.\.\.\)"):
        cls(folded, keras.layers.Flatten)
    with pytest.raises(ValueError, match="decoder must be built, so that it has weights"):
        cls(folded, keras.Sequential([keras.layers.Dense(2)]))


@BOTH
@pytest.mark.parametrize(
    ("encoder", "decoder", "said", "error"),
    [
        (
            lambda x: tf.reduce_mean(x, [1, 2]),
            None,
            r"encoder must give maps .* several places.* \(4, 1\)",
            0,
        ),
        (lambda x: tf.reduce_mean(x, [1, 2], True), None, r"encoder must give maps.*\(4, 1, 1, 1\)", 0),
        (lambda x: [x], None, "encoder must give one float tensor", TypeError),
        (lambda x: tf.matmul(x, tf.ones([3, 3])), None, r"encoder must take images as they are.*\(4, 4, 4, 1\)", 0),
        (None, lambda x: x, r"decoder must give images .*\(batch, 4, 4, 1\).* gives float32 \(4, 2, 2, 4\)", 0),
        (None, lambda x: tf.cast(x, tf.int32), "decoder must give one float tensor", TypeError),
        (None, lambda x: tf.reshape(x, [7, -1]), r"decoder must take what the encoder gives", 0),
    ],
    ids=["no places", "one place", "a list", "other channels", "other shape", "integers", "other maps"],
)
def test_networks_that_do_not_fit_are_refused(cls, encoder, decoder, said, error, networks):
    layer = MixLayer(blend=cls(encoder or networks[0], decoder or networks[1]), num_classes=2)
    with pytest.raises(error or ValueError, match=rf"(?s)MixLayer: {said}"):
        layer(images(4, 4, 4, 1), np.arange(4) % 2, seed=1)


@BOTH
def test_features_without_an_image_are_refused(cls, networks):
    with pytest.raises(ValueError, match="MixLayer: features must have 2 axes"):
        MixLayer(blend=cls(*networks))(images(4, 3), np.eye(4, dtype=np.float32))
