"""Features go to a model's inputs as Keras sends them: by name, or in order."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kmix_tf.saliency import GradientSaliency, NamedFeatures
from kmix_tf.saliency.inputs import as_taken, nested

LEFT, RIGHT = tf.ones([2, 3]), tf.zeros([2, 3])
SORTED = NamedFeatures([LEFT, RIGHT], [("left",), ("right",)])


def two_inputs(structure):
    inputs = {name: keras.Input((3,), name=name) for name in ("right", "left")}
    taken = {"list": list(inputs.values()), "dict": inputs}[structure]
    return keras.Model(taken, inputs["left"] - 2 * inputs["right"])


@pytest.mark.parametrize("structure", ["list", "dict"])
def test_features_with_names_reach_the_inputs_of_these_names(structure):
    model = two_inputs(structure)
    ours = model(as_taken(model, SORTED, SORTED.paths))
    assert (ours.numpy() == (LEFT - 2 * RIGHT).numpy()).all()


def test_features_without_names_keep_their_order():
    model = two_inputs("list")
    for paths in (None, [(0,), (1,)]):
        assert (model(as_taken(model, [RIGHT, LEFT], paths)).numpy() == LEFT.numpy()).all()


@pytest.mark.parametrize("structure", ["list", "dict"])
def test_names_that_the_model_does_not_know_are_refused(structure):
    message = (
        r"kmix_tf: features must have the names of the model's inputs. Received: features \['a'\], \['left'\] for"
    )
    with pytest.raises(ValueError, match=message):
        as_taken(two_inputs(structure), [LEFT, RIGHT], [("a",), ("left",)])


def test_one_feature_is_the_one_input_whatever_their_names():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    assert as_taken(model, [LEFT], [("table",)]) is LEFT


def test_structures_are_made_of_paths():
    paths = [("a", 0), ("a", 2), ("b", "c"), ("b", "d", 0)]
    assert nested(paths, [1, 2, 3, 4]) == {"a": [1, 2], "b": {"c": 3, "d": [4]}}
    assert nested([(0,), (1, "x")], [1, 2]) == [1, {"x": 2}]
    assert nested([()], [5]) == 5


class OfDict(keras.Model):
    def call(self, x, training=None):
        return tf.reduce_sum(x["image"], axis=(1, 2)) ** 2 + x["table"]


def test_a_subclassed_model_gets_the_structure_of_the_batch():
    image, table = tf.reshape(tf.range(8.0), [2, 2, 2]), tf.ones([2])
    features = NamedFeatures([image, table], [("image",), ("table",)])
    saliency = GradientSaliency(OfDict(), "mse")(features, [tf.zeros([2])])
    # The square of the sum depends on each place alike.
    shares = saliency.numpy() / saliency.numpy().max(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(shares, np.ones([2, 2, 2]), rtol=1e-6)
