"""What a model ends in, against what its output is said to be."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

from kmix_tf import RescaledModel
from kmix_tf._compat import IS_KERAS_3
from kmix_tf.models.rescaled.endings import endings

L = keras.layers


def sequential(*layers):
    return keras.Sequential([L.Input((4,)), *layers])


def functional(*layers):
    inputs = keras.Input((4,))
    answer = inputs
    for layer in layers:
        answer = layer(answer)
    return keras.Model(inputs, answer)


def nested(*layers):
    return functional(L.Dense(4, activation="relu"), sequential(L.Dense(4), functional(*layers)))


def unbuilt(*layers):
    return keras.Sequential(list(layers))


def shared_after(*layers):
    """A head that is called twice, once on what softmax gave: it is the second call that counts."""
    head = functional(*layers)
    inputs = keras.Input((4,))
    return keras.Model(inputs, head(L.Dense(4, activation="softmax")(inputs)))


MADE_BY = (sequential, functional, nested, unbuilt, shared_after)
CASES = {
    "softmax": lambda: [L.Dense(3, activation="softmax")],
    "softmax by a layer": lambda: [L.Dense(3), L.Softmax()],
    "softmax by Activation": lambda: [L.Dense(3), L.Activation("softmax", dtype="float32")],
    "softmax, cast": lambda: [L.Dense(3, activation="softmax"), L.Activation("linear", dtype="float32")],
    "softmax, dropout": lambda: [L.Dense(3, activation="softmax"), L.Dropout(0.1)],
    "softmax by TensorFlow": lambda: [L.Dense(3, activation=tf.nn.softmax)],
    "sigmoid": lambda: [L.Dense(3, activation="sigmoid")],
    "sigmoid, one": lambda: [L.Dense(1), L.Activation("sigmoid")],
    "linear": lambda: [L.Dense(3)],
    "linear, cast": lambda: [L.Dense(3), L.Activation("linear", dtype="float32")],
}


@pytest.mark.parametrize("made_by", MADE_BY)
@pytest.mark.parametrize("name", CASES)
def test_the_last_activation_is_found(made_by, name):
    (ending,) = endings(made_by(*CASES[name]()))
    assert ending.activation == name.replace(",", " ").split()[0]


@pytest.mark.parametrize("made_by", MADE_BY)
@pytest.mark.parametrize(
    ("name", "said", "remedy"),
    [
        ("softmax", "logits", "probabilities"),
        ("softmax, cast", "logits", "probabilities"),
        ("softmax", "multilabel_logits", "probabilities"),
        ("softmax", "multilabel_probabilities", "probabilities"),
        ("sigmoid, one", "multilabel_logits", "multilabel_probabilities"),
        ("sigmoid", "logits", "multilabel_probabilities"),
        ("sigmoid", "probabilities", "multilabel_probabilities"),
        ("linear", "probabilities", "logits"),
        ("linear, cast", "multilabel_probabilities", "multilabel_logits"),
    ],
)
def test_a_contradiction_is_refused_with_its_remedy(made_by, name, said, remedy):
    with pytest.raises(ValueError, match=rf"RescaledModel: output must say .*output='{said}'.*Set output='{remedy}'"):
        RescaledModel(made_by(*CASES[name]()), 1.0, output=said)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("softmax", "probabilities"),
        ("sigmoid, one", "probabilities"),
        ("sigmoid, one", "multilabel_probabilities"),
        ("sigmoid", "multilabel_probabilities"),
        ("linear", "logits"),
        ("linear", "multilabel_logits"),
        *[(name, "regression") for name in CASES],
    ],
)
def test_what_fits_is_taken(name, said):
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        RescaledModel(functional(*CASES[name]()), 1.0, output=said)


def test_each_of_several_outputs_is_looked_at():
    inputs = keras.Input((4,))
    model = keras.Model(inputs, {"b": L.Dense(2)(inputs), "a": L.Dense(3, activation="softmax")(inputs)})
    x, y = np.zeros((4, 4), "f4"), {"a": np.zeros(4, int), "b": np.zeros(4, int)}
    RescaledModel(model, 1.0, output={"a": "probabilities", "b": "logits"}).adapt(x, y)
    with pytest.raises(ValueError, match=r"output\['a'\] must say .* Set output\['a'\]='probabilities'"):
        RescaledModel(model, 1.0, output={"a": "logits", "b": "logits"}).adapt(x, y)


def test_a_layer_that_is_called_twice_is_followed_to_the_right_call():
    inputs, dropout = keras.Input((4,)), L.Dropout(0.1)
    first, second = dropout(L.Dense(3, activation="softmax")(inputs)), dropout(L.Dense(3)(inputs))
    assert [ending.activation for ending in endings(keras.Model(inputs, [first, second]))] == ["softmax", "linear"]


def test_each_output_of_a_nested_model_is_followed():
    inner_inputs, inputs = keras.Input((4,)), keras.Input((4,))
    inner = keras.Model(inner_inputs, [L.Dense(3, activation="softmax")(inner_inputs), L.Dense(3)(inner_inputs)])
    first, second = inner(inputs)
    assert [ending.activation for ending in endings(keras.Model(inputs, [second, first]))] == ["linear", "softmax"]


def test_operations_are_seen_through():
    inputs = keras.Input((4,))
    hidden = L.Dense(3)(inputs)
    softmax, sigmoid = (keras.ops.softmax, keras.ops.sigmoid) if IS_KERAS_3 else (tf.nn.softmax, tf.nn.sigmoid)
    model = keras.Model(inputs, [softmax(hidden), sigmoid(hidden), softmax(hidden, axis=0)])
    assert [ending.activation for ending in endings(model)] == ["softmax", "sigmoid", None]


class Ratio(L.Layer):
    """A user's layer, which has an activation but may apply it anywhere."""

    def __init__(self):
        super().__init__()
        self.activation = keras.activations.softmax

    def call(self, x):
        return 5 * self.activation(x) - 1


@pytest.mark.parametrize(
    "layer",
    (Ratio, lambda: L.Softmax(axis=1), lambda: L.LayerNormalization(), lambda: L.Dense(3, activation="relu")),
)
def test_what_cannot_be_told_is_not_guessed(layer):
    assert endings(functional(layer()))[0].activation is None


def test_recurrent_layers_keep_their_inner_activation_to_themselves():
    model = keras.Sequential([L.Input((2, 4)), L.LSTM(3, activation="linear")])
    assert endings(model)[0].activation is None


class Subclassed(keras.Model):
    def __init__(self, last):
        super().__init__()
        self.dense, self.last = L.Dense(3), last

    def call(self, x):
        return self.last(self.dense(x))


class TestSubclassedModels:
    """They cannot be looked into: their values are, on the first batch."""

    x, y = np.random.default_rng(0).normal(size=(16, 4)).astype("f4") * 3, np.arange(16) % 3

    def test_probabilities_that_are_none_are_refused(self):
        rescaled = RescaledModel(Subclassed(tf.identity), 1.0, output="probabilities")
        with pytest.raises(ValueError, match=r"output='probabilities', but values from -.* Set 'logits'"):
            rescaled.adapt(self.x, self.y)

    def test_sigmoids_are_no_probabilities_of_exclusive_classes(self):
        rescaled = RescaledModel(Subclassed(tf.sigmoid), 1.0, output="probabilities")
        with pytest.raises(ValueError, match=r"but sums from .* 'multilabel_probabilities'"):
            rescaled.adapt(self.x, self.y)

    def test_logits_that_look_like_probabilities_warn(self):
        rescaled = RescaledModel(Subclassed(tf.nn.softmax), 1.0)
        with pytest.warns(UserWarning, match=r"sum to 1, as probabilities do\. Is it 'probabilities'"):
            rescaled.adapt(self.x, self.y)

    @pytest.mark.parametrize(
        ("last", "said"),
        [(tf.identity, "logits"), (tf.nn.softmax, "probabilities"), (tf.sigmoid, "multilabel_probabilities")],
    )
    def test_what_fits_is_taken(self, last, said):
        rescaled = RescaledModel(Subclassed(last), 1.0, output=said)
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            rescaled.adapt(self.x, np.eye(3)[self.y])
        assert rescaled.predict(self.x, verbose=0).shape == (16, 3)
