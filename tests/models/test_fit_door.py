"""What is no batch of arrays is refused by `fit` of a mixing model, before Keras does so in words of its own."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kmix_tf import KMixupLayer, ManifoldMixModel, MixModel

X, Y = np.arange(12, dtype=np.float32).reshape(4, 3), np.eye(4, dtype=np.float32)


def wrapped(make=MixModel):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4, name="hidden"), keras.layers.Dense(4)])
    mixing = make(model, *([["hidden"]] if make is ManifoldMixModel else []), KMixupLayer(1), seed=0)
    mixing.compile("sgd", "mse")
    return mixing


BAD = {
    "objects": (X.astype(object), Y, TypeError, "features must be an array of numbers"),
    "objects as targets": (X, Y.astype(object), TypeError, "targets must be an array of numbers"),
    "dates": (np.zeros((4, 3), "datetime64[s]"), Y, TypeError, "features must be an array of numbers"),
    "keys of two kinds": ({"a": X, 1: X}, Y, TypeError, "keys of a dictionary must be of one kind"),
    "lists as targets": (X, Y.tolist(), TypeError, "targets must be tensors or arrays"),
    "a number as target": (X, 3, ValueError, "targets must have a batch axis"),
    "masked values": (np.ma.masked_array(X, X > 3), Y, ValueError, "features must have no masked values"),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("make", [MixModel, ManifoldMixModel])
def test_what_is_no_array_is_refused_in_words(name, make):
    x, y, kind, message = BAD[name]
    with pytest.raises(kind, match=rf"^{make.__name__}: .*{message}"):
        wrapped(make).fit(x, y, verbose=0)
    with pytest.raises(kind, match=rf"^{make.__name__}: .*{message}"):
        wrapped(make).fit(x=x, y=y, sample_weight=np.ones(4), verbose=0)


def test_what_keras_takes_besides_arrays_still_goes():
    data = tf.data.Dataset.from_tensors((X, Y)).repeat(3)
    for x, y in ((X, Y), (tf.constant(X), tf.constant(Y)), (data, None), (((X, Y) for _ in range(3)), None)):
        history = wrapped().fit(x, y, steps_per_epoch=1, verbose=0).history
        assert np.isfinite(history["loss"]).all()
