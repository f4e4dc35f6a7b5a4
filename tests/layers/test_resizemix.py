"""ResizeMixLayer: labels by area, maps and bounding boxes that shrink with the image."""

import numpy as np
import pytest
import tensorflow as tf

from kmix_tf import KMixupLayer, MixLayer, ResizeMixBlend, ResizeMixLayer, ScaleRatio, UniformRatio, mix

RNG = np.random.default_rng(3)
BATCH, HEIGHT, WIDTH = 6, 12, 16
# The first channel says whose a place is.
IMAGES = np.zeros((BATCH, HEIGHT, WIDTH, 1), np.float32) + np.arange(BATCH).reshape(-1, 1, 1, 1)


def windows(x, partner):
    """Left, top, right, bottom of what is seen of the partner, for each row."""
    found = []
    for row, other in enumerate(partner):
        rows, columns = np.nonzero(np.asarray(x)[row, ..., 0] == other)
        found.append((columns.min(), rows.min(), columns.max() + 1, rows.max() + 1))
    return np.array(found, np.float64)


def test_labels_are_mixed_by_the_area_pasted():
    layer = ResizeMixLayer(scope="sample", num_classes=BATCH)
    x, y = layer(IMAGES, np.arange(BATCH), seed=4)
    shown = np.stack([(x.numpy()[..., 0] == each).mean(axis=(1, 2)) for each in range(BATCH)], axis=1)
    np.testing.assert_allclose(y, shown, atol=1e-6)
    assert ((y.numpy() > 0).sum(axis=1) == 2).all()


def test_maps_shrink_with_the_image():
    maps = RNG.integers(0, 4, size=(BATCH, HEIGHT, WIDTH))
    x = maps[..., np.newaxis].astype(np.float32)
    for options in ({}, {"interpolations": 3}, {"scope": "sample", "k": 2}):
        shown, y = ResizeMixLayer(num_classes=4, **options)(x, maps, seed=2)
        assert (y.numpy().argmax(axis=-1) == shown.numpy()[..., 0]).all()
        assert (y.numpy().max(axis=-1) == 1).all()


def corners(boxes):
    return boxes[..., [1, 0, 3, 2]]


@pytest.mark.parametrize("written", ["xyxy", "yxyx", "rel_xyxy"])
def test_bounding_boxes_shrink_with_the_image(written):
    inside = np.sort(RNG.uniform(0, 1, size=(BATCH, 3, 2, 2)), axis=2) * [WIDTH, HEIGHT]
    boxes = inside.reshape(BATCH, 3, 4).astype(np.float32)
    came = {"xyxy": boxes, "yxyx": corners(boxes), "rel_xyxy": boxes / np.float32([WIDTH, HEIGHT] * 2)}[written]
    labels = np.tile([5, 6, -1], (BATCH, 1))
    layer = ResizeMixLayer((0.4, 0.8), bounding_box_format=written, box_weights=True, scope="sample")
    y = {"bounding_boxes": {"boxes": came, "labels": labels}}
    x, y = layer(IMAGES, y, seed=3)
    partner = layer.plan([IMAGES], seed=3).partner.numpy()
    left, top, right, bottom = windows(x, partner).T
    got = y["bounding_boxes"]["boxes"].numpy()[:, 3:]
    got = {"xyxy": got, "yxyx": corners(got), "rel_xyxy": got * np.float32([WIDTH, HEIGHT] * 2)}[written]
    scale = np.stack([(right - left) / WIDTH, (bottom - top) / HEIGHT] * 2, axis=1)[:, np.newaxis]
    start = np.stack([left, top] * 2, axis=1)[:, np.newaxis]
    expected = start + boxes[partner] * scale
    np.testing.assert_allclose(got[:, :2], expected[:, :2], atol=1e-4)
    assert (y["bounding_boxes"]["labels"].numpy()[:, 3:] == [5, 6, -1]).all()
    np.testing.assert_allclose(y["bounding_boxes"]["box_weights"].numpy()[:, 3:], [[1, 1, 0]] * BATCH, atol=1e-5)


def test_what_reaches_beyond_the_partners_edge_is_cut_there_and_what_is_covered_is_not_seen():
    images, options = IMAGES[:2], {"bounding_box_format": "xyxy", "box_visibility": 0.5}
    boxes = np.array([[[0, 0, 16, 12]], [[-8, 3, 8, 40]]], np.float32)
    y = {"bounding_boxes": {"boxes": boxes, "labels": np.array([[1], [2]])}}
    layer = MixLayer(ratio=UniformRatio(0.0, 0.0), blend=ResizeMixBlend(), **options)
    _, mixed = layer(images, y, seed=1)
    # All of the partner is seen, and nothing of the sample.
    assert mixed["bounding_boxes"]["labels"].numpy().tolist() == [[-1, 2], [-1, 1]]
    assert (mixed["bounding_boxes"]["boxes"].numpy()[:, 1] == boxes[::-1, 0]).all()
    layer = MixLayer(ratio=UniformRatio(0.75, 0.75), blend=ResizeMixBlend(), **options)
    x, mixed = layer(images, y, seed=1)
    left, top, _, _ = windows(x, [1, 0])[0]
    assert mixed["bounding_boxes"]["labels"].numpy()[:, 1].tolist() == [2, 1]
    expected = [left, top + 1.5, left + 4, top + 6]
    np.testing.assert_allclose(mixed["bounding_boxes"]["boxes"][0, 1], expected, atol=1e-5)


def test_scales_are_those_asked_for():
    layer = ResizeMixLayer((0.25, 0.5), axes=1)
    assert layer.scale == (0.25, 0.5)
    assert isinstance(layer.ratio, ScaleRatio)
    assert layer.ratio.axes == 1
    x = np.zeros((3, 40), np.float32) + np.arange(3, dtype=np.float32)[:, np.newaxis]
    shares = [layer(x, np.eye(3, dtype=np.float32), seed=seed)[1].numpy().diagonal() for seed in range(20)]
    assert ((np.array(shares) >= 0.5) & (np.array(shares) <= 0.75)).all()
    same = ResizeMixLayer((0.0, 0.0), num_classes=BATCH)(IMAGES, np.arange(BATCH), seed=1)
    assert (same[0].numpy() == IMAGES).all()
    assert (same[1].numpy() == np.eye(BATCH)).all()


@pytest.mark.parametrize("scale", [0.5, (0.1,), (0.8, 0.1), (-0.1, 0.5), (0, 1.5), "ab", None, (0.1, None)])
def test_other_scales_are_refused(scale):
    with pytest.raises(ValueError, match=r"ResizeMixLayer: scale must be .*Received: scale="):
        ResizeMixLayer(scale)


def test_alpha_is_no_option_of_it():
    with pytest.raises(TypeError, match=r"ResizeMixLayer: there is no such option. Received: alpha=1"):
        ResizeMixLayer(alpha=1)


def test_it_is_a_blend_of_other_mixes_too():
    layer = KMixupLayer(2, interpolations=2, blend=ResizeMixBlend(resize="area"), num_classes=BATCH)
    dataset = tf.data.Dataset.from_tensor_slices((IMAGES.astype(np.uint8), np.arange(BATCH))).batch(4)
    shapes = [(x.shape, x.dtype, y.shape) for x, y in dataset.apply(mix(layer, seed=1))]
    assert shapes == [((8, HEIGHT, WIDTH, 1), tf.float32, (8, 6)), ((4, HEIGHT, WIDTH, 1), tf.float32, (4, 6))]
