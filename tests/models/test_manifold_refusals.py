import keras
import numpy as np
import pytest
import tensorflow as tf

from kmix_tf import KMixupLayer
from kmix_tf.models.manifold.model import ManifoldMixModel


def network():
    """Input, `first`, a residual block that ends in `sum`, `last`, logits."""
    keras.utils.set_random_seed(1)
    inputs = keras.Input((4,), name="features")
    first = keras.layers.Dense(6, activation="tanh", name="first")(inputs)
    inner = keras.layers.Dense(6, activation="tanh", name="inner")(first)
    total = keras.layers.Add(name="sum")([first, inner])
    last = keras.layers.Dense(5, activation="tanh", name="last")(total)
    return keras.Model(inputs, keras.layers.Dense(3, name="logits")(last))


def refused(model, layers=("sum",), mix=None, **options):
    with pytest.raises((TypeError, ValueError)) as caught:
        ManifoldMixModel(
            model, list(layers) if isinstance(layers, tuple) else layers, mix or KMixupLayer(), **options
        )
    return str(caught.value)


def test_a_layer_with_a_way_round_it_is_refused_with_the_nearest_that_have_none():
    assert refused(network(), ("inner",)) == (
        "ManifoldMixModel: layer 'inner' cannot be mixed at: other connections go round it, as a skip connection "
        "does, and would carry unmixed features. The nearest that can: 'first', 'sum', 'last'."
    )


def test_unknown_names_are_told_the_known_ones():
    message = refused(network(), ("input", "nope"))
    assert "of 'input', 'first', 'inner', 'sum', 'last', 'logits'. Received: layers='nope'" in message


@pytest.mark.parametrize("layers", ([], "sum", [3], ["sum", "sum"], None))
def test_layers_must_be_different_names(layers):
    assert refused(network(), layers).startswith("ManifoldMixModel: layers must be ")


def test_a_layer_used_twice_is_refused():
    inputs, shared = keras.Input((4,)), keras.layers.Dense(4, name="shared")
    assert "uses it 2 times" in refused(keras.Model(inputs, shared(shared(inputs))), ("shared",))


def test_a_layer_with_several_outputs_is_refused():
    inputs = keras.Input((5, 4))
    answer, *_ = keras.layers.LSTM(3, return_state=True, name="states")(inputs)
    assert "it has 3 outputs" in refused(keras.Model(inputs, keras.layers.Dense(2)(answer)), ("states",))


class Total(keras.layers.Layer):
    """Adds up steps, and hands on their mask, as layers with `supports_masking` do that forget `compute_mask`."""

    def __init__(self, **options):
        super().__init__(**options)
        self.supports_masking = True

    def call(self, x):
        return tf.reduce_sum(tf.convert_to_tensor(x), axis=1)

    def compute_output_shape(self, shape):
        return shape[0], shape[-1]


def test_a_mask_of_steps_that_are_no_more_is_refused():
    inputs = keras.Input((None,), dtype="int32")
    embedded = keras.layers.Embedding(9, 3, mask_zero=True, name="embedded")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(2, name="out")(Total(name="total")(embedded)))
    message = refused(model, ("total",))
    assert "it hands on a mask that is not of its elements, of shape (None, None)" in message
    assert "The nearest that can: 'embedded'" in message


def test_integer_inputs_are_refused_and_a_hidden_layer_is_not():
    inputs = keras.Input((5,), dtype="int32")
    hidden = keras.layers.Flatten(name="flat")(keras.layers.Embedding(9, 3)(inputs))
    model = keras.Model(inputs, keras.layers.Dense(3)(hidden))
    assert "inputs are of dtypes ['int32']" in refused(model, ("input",))
    tokens, y = np.arange(40).reshape(8, 5) % 9, np.arange(8) % 3
    wrapped = ManifoldMixModel(model, ["flat"], KMixupLayer(2, num_classes=3))
    wrapped.compile("sgd", keras.losses.CategoricalCrossentropy(from_logits=True))
    assert np.isfinite(wrapped.fit(tokens, y, verbose=0).history["loss"]).all()


def test_a_subclassed_model_is_refused():
    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(2, name="dense")

        def call(self, x):
            return self.dense(x)

    model = Own()
    model(tf.ones([1, 4]))
    assert "must be functional or sequential" in refused(model, ("dense",))


def test_a_model_that_is_not_built_is_refused():
    assert "must be built" in refused(keras.Sequential([keras.layers.Dense(2, name="dense")]), ("dense",))


def test_what_is_no_model_and_no_mix_is_refused():
    assert "model must be a Keras model. Received: model=3" in refused(3)
    assert "mix must be a MixLayer" in refused(network(), mix=lambda x, y: (x, y))
    assert "seed must be an integer >= 0" in refused(network(), seed=-1)
