"""Data to validate on: converted as the layer does, and mixed by nobody."""

import pickle

import keras
import numpy as np
import pytest
import tensorflow as tf

from kmix_tf import CutMixLayer, KMixupLayer, MultiMixLayer

X = np.random.default_rng(0).normal(size=(10, 4, 4, 1)).astype(np.float32)
LABELS = np.arange(10) % 3
LAYERS = [
    KMixupLayer(4, num_classes=3),
    CutMixLayer(num_classes=3, targets="packed"),
    MultiMixLayer(3, num_classes=3, class_weight=[1, 2, 3]),
]


@pytest.mark.parametrize("layer", LAYERS, ids=["kmixup", "packed", "several and class weights"])
def test_a_map_for_evaluation_is_the_layer_told_not_to_train(layer, same):
    data = tf.data.Dataset.from_tensor_slices((X, LABELS, np.ones(10, np.float32))).batch(4)
    stages = [layer.for_evaluation(), pickle.loads(pickle.dumps(layer.for_evaluation()))]
    config = keras.saving.serialize_keras_object(layer.for_evaluation())
    stages.append(keras.saving.deserialize_keras_object(config))
    for stage in stages:
        for ours, batch in zip(data.map(stage), data, strict=True):
            same(ours, layer(*batch, training=False))
            np.testing.assert_array_equal(ours[0], batch[0])
            np.testing.assert_array_equal(ours[2], batch[2])


def test_validation_that_is_converted_is_validation_of_clean_data():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(3)])
    model.compile("sgd", keras.losses.CategoricalCrossentropy(from_logits=True))
    layer = KMixupLayer(1, num_classes=3)
    data = tf.data.Dataset.from_tensor_slices((X, LABELS)).batch(10)
    logs = tf.nn.log_softmax(model(X)).numpy()
    expected = -logs[np.arange(10), LABELS].mean()
    np.testing.assert_allclose(model.evaluate(data.map(layer.for_evaluation()), verbose=0), expected, rtol=1e-5)
    assert abs(model.evaluate(data.map(layer), verbose=0) - expected) > 1e-3
