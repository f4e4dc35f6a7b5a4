"""Tensors of which nobody knows how many axes they have, as Python functions in a pipeline leave them."""

import numpy as np
import pytest
import tensorflow as tf

from kmix_tf import (
    AttentiveMixLayer,
    CutMixLayer,
    FMixLayer,
    GridMixLayer,
    KMixupLayer,
    LocalMixupLayer,
    MixLayer,
    MultiMixLayer,
    PuzzleMixLayer,
    ResizeMixLayer,
    SaliencyMixLayer,
    SmoothMixLayer,
)

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(12, 8, 8, 3)).astype(np.float32)
COLUMN = RNG.integers(0, 4, size=(12, 1))
ONE_HOT = np.eye(8, dtype=np.float32)[RNG.integers(0, 8, 12)]

LAYERS = {
    "linear": lambda **options: MixLayer(**options),
    "k-mixup": lambda **options: KMixupLayer(2, **options),
    "multi-mix": lambda **options: MultiMixLayer(2, **options),
    "local": lambda **options: LocalMixupLayer(**options),
    "cutmix": lambda **options: CutMixLayer(**options),
    "fmix": lambda **options: FMixLayer(**options),
    "gridmix": lambda **options: GridMixLayer(**options),
    "smoothmix": lambda **options: SmoothMixLayer(**options),
    "attentivemix": lambda **options: AttentiveMixLayer(**options),
    "resizemix": lambda **options: ResizeMixLayer(**options),
    "saliencymix": lambda **options: SaliencyMixLayer(**options),
    "puzzle mix": lambda **options: PuzzleMixLayer(**options),
}


def loaded(*arrays, size=4):
    """A dataset of batches, or of single samples, that a NumPy function reads: without any shape."""

    def load(index):
        kinds = [tf.as_dtype(array.dtype) for array in arrays]
        return tf.numpy_function(lambda rows: tuple(array[rows] for array in arrays), [index], kinds)

    rows = tf.data.Dataset.range(len(arrays[0]))
    return (rows.batch(size) if size else rows).map(lambda index: tuple(load(index)))


def refused(dataset, mapped):
    with pytest.raises(ValueError) as caught:
        dataset.map(mapped)
    return str(caught.value)


@pytest.mark.parametrize("name", LAYERS)
def test_features_without_a_known_number_of_axes_are_refused(name):
    message = refused(loaded(IMAGES, COLUMN), LAYERS[name](num_classes=4))
    assert (
        "features must have a known number of axes: see tf.ensure_shape. Received: features of shape <unknown>"
        in message
    )
    assert "see tf.ensure_shape" in message


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("targets", [COLUMN, ONE_HOT], ids=["column", "one-hot"])
def test_targets_without_a_known_number_of_axes_are_refused(name, targets):
    dataset = loaded(IMAGES, targets).map(lambda x, y: (tf.ensure_shape(x, [None, 8, 8, 3]), y))
    message = refused(dataset, LAYERS[name](num_classes=4 if targets is COLUMN else None))
    assert (
        "targets must have a known number of axes: see tf.ensure_shape. Received: targets of shape <unknown>"
        in message
    )


def test_images_that_were_not_batched_are_refused_and_not_mixed_row_by_row():
    assert "see tf.ensure_shape" in refused(loaded(IMAGES, ONE_HOT, size=None), KMixupLayer(4))


def test_so_are_weights_masks_parts_of_a_dictionary_evaluation_and_a_second_loader():
    mix = MixLayer(num_classes=4)
    shaped = loaded(IMAGES, COLUMN, COLUMN).map(
        lambda x, y, w: (tf.ensure_shape(x, [None, 8, 8, 3]), tf.ensure_shape(y, [None, 1]), w)
    )
    assert "sample_weight must have a known number of axes" in refused(shaped, mix)
    masked = loaded(IMAGES, COLUMN > 1).map(lambda x, m: {"x": tf.ensure_shape(x, [None, 8, 8, 3]), "there": m})
    layer = MixLayer(masks="there", features_only=True)
    assert "features['there'] must have a known number of axes" in refused(masked, layer)
    known = shaped.map(lambda x, y, w: (x, y))
    open_labels = shaped.map(lambda x, y, w: (x, w))
    assert "targets must have" in refused(open_labels, lambda x, y: mix(x, y, training=False))
    assert "targets must have" in refused(tf.data.Dataset.zip((known, open_labels)), mix.between)


def test_what_rides_along_needs_no_shape():
    dataset = loaded(IMAGES, COLUMN).map(
        lambda x, y: ({"x": tf.ensure_shape(x, [None, 8, 8, 3]), "id": y}, ONE_HOT[:4])
    )
    x, _ = next(iter(dataset.map(MixLayer(passthrough="id"))))
    np.testing.assert_array_equal(x["id"], COLUMN[:4])


def test_with_its_shape_said_a_column_of_labels_is_mixed_as_labels_are():
    dataset = loaded(IMAGES, COLUMN).map(
        lambda x, y: (tf.ensure_shape(x, [None, 8, 8, 3]), tf.ensure_shape(y, [None, 1]))
    )
    layer = KMixupLayer(2, num_classes=4)
    x, y = next(iter(dataset.map(lambda x, y: layer(x, y, seed=3))))
    plan = layer.plan([IMAGES[:4]], seed=3)
    ratio, partner, labels = plan.ratio.numpy()[:, np.newaxis], plan.partner.numpy(), np.eye(4)[COLUMN[:4, 0]]
    np.testing.assert_allclose(y, ratio * labels + (1 - ratio) * labels[partner], rtol=1e-6)
    assert x.shape == (4, 8, 8, 3)


def of_open_width(features):
    return loaded(features, COLUMN).map(
        lambda x, y: (tf.ensure_shape(x, [None, *[None] * (features.ndim - 1)]), tf.ensure_shape(y, [None, None]))
    )


def test_a_column_of_labels_whose_width_nobody_knows_is_no_sequence():
    dataset = of_open_width(IMAGES).map(lambda x, y: (tf.ensure_shape(x, [None, 8, 8, 3]), y))
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"labels in a column must .*ensure_shape\(y, \[None, 1"):
        next(iter(dataset.map(KMixupLayer(2, num_classes=4))))


def test_tags_of_sequences_whose_length_nobody_knows_may_be_one_long():
    _, y = next(iter(of_open_width(IMAGES[:, :1, 0]).map(KMixupLayer(2, num_classes=4))))
    assert y.shape == (4, 1, 4)
