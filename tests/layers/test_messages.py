"""Who a message is from and what to do come first, before what Keras and autograph add."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kmix_tf import KMixupLayer, mix

X, LABELS = np.zeros((4, 3), np.float32), np.array([0, 1, 2, 1])
BAD = {
    "no classes": ((X, LABELS), ValueError, "KMixupLayer: integer labels need num_classes"),
    "no targets": ((X,), ValueError, "KMixupLayer: targets must come with the features"),
    "a scalar": ((np.float32(1), LABELS), ValueError, "KMixupLayer: features must have a batch axis"),
    "text": ((np.array(["a"] * 4), X), TypeError, "KMixupLayer: features must be numeric"),
    "NaN": ((X * np.nan, X), tf.errors.InvalidArgumentError, "KMixupLayer: features must be finite"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_call_by_hand_begins_with_name_and_rule(name):
    batch, kind, message = BAD[name]
    with pytest.raises(kind) as caught:
        KMixupLayer(1)(*(tf.constant(part) for part in batch))
    text = caught.value.message if isinstance(caught.value, tf.errors.OpError) else str(caught.value)
    assert text.startswith(message)
    assert "Arguments received" not in text


@pytest.mark.parametrize("name", ["no classes", "no targets", "text"])
@pytest.mark.parametrize("seeded", [False, True], ids=["map", "mix"])
def test_a_map_says_so_at_once(name, seeded):
    batch, kind, message = BAD[name]
    data = tf.data.Dataset.from_tensors(batch if len(batch) > 1 else batch[0])
    with pytest.raises(kind) as caught:
        data.apply(mix(KMixupLayer(1), seed=0)) if seeded else data.map(KMixupLayer(1))
    assert str(caught.value).startswith(message)


def test_a_layer_within_a_model_is_told_what_would_do():
    with pytest.raises(ValueError, match=r"^KMixupLayer: targets must come .* train MixModel\(model, layer\)"):
        keras.Sequential([keras.Input((3,)), KMixupLayer(1), keras.layers.Dense(1)])


def test_a_layer_made_within_a_map_is_to_be_made_outside():
    data = tf.data.Dataset.from_tensors((X, X))
    with pytest.raises(ValueError, match="KMixupLayer: make the layer outside the function"):
        data.map(lambda x, y: KMixupLayer(1)(x, y))
    # With a seed of the caller's own nothing is lost.
    assert len(list(data.map(lambda x, y: KMixupLayer(1)(x, y, seed=1)))) == 1
