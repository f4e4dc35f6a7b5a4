"""What is named like bounding boxes, key points or outlines, and what only looks so."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kmix_tf import ApproximateMixupModel, CutMixLayer, KMixupLayer, MixLayer, RescaledModel
from kmix_tf.batch.geometry import geometric_word

RNG = np.random.default_rng(0)
IMAGES, CORNERS = RNG.random((4, 8, 8, 3)).astype(np.float32), RNG.random((4, 3, 4)).astype(np.float32)

BOXES = [
    *("bbox", "boxes", "bounding_boxes", "gt_boxes", "groundtruth_boxes", "gt_bboxes", "box_targets", "labels_xywh"),
    *("gtBoxes", "GTBoxes", "BBoxes", "gt-bbox", "boxes/3d", "bbox2d", "box1", "BOUNDING BOXES", "proposal_boxes"),
    *("rois", "bndbox", "obb", "anchor_boxes", "image_boxes", "crop_bbox", "box_scores", "boxes_cxcywh", "cuboids"),
]
POINTS = [
    *("keypoints", "landmarks", "faceLandmarks", "keypoints_visible", "kpts", "key_points", "KeyPoints", "keypoint"),
]
OUTLINES = ["polygons", "polygon_xy", "lanePolylines"]
OTHERS = [
    *("mailbox", "boxing", "checkbox", "xbox", "mailBox", "check_box", "box_office", "box_cox_price", "toolBoxes"),
    *(
        "box_image",
        "keypoint_heatmaps",
        "box_embedding",
        "boxesFeatures",
        "landmark_crops",
        "black_box",
        "num_boxes",
        "boxes_count",
    ),
    *("anchor", "segments", "key", "points", "bounding", "joints", "roi", "image", "xy", "", "0", "landmarked"),
]


def message(call, *error):
    with pytest.raises(ValueError) as caught:
        call(*error)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *((name, "bounding boxes") for name in BOXES),
        *((name, "key points") for name in POINTS),
        *((name, "outlines") for name in OUTLINES),
    ],
)
@pytest.mark.parametrize("part", ["features", "targets"])
def test_geometry_is_refused_by_the_words_of_its_name(name, kind, part):
    leaves = {"image": IMAGES, name: CORNERS}
    batch = (leaves, np.eye(4)) if part == "features" else (IMAGES, {"label": np.eye(4), name: CORNERS})
    said = message(lambda: KMixupLayer(1)(*batch, seed=1))
    assert f"KMixupLayer: {kind} cannot be mixed" in said
    assert f"Received: {name!r}" in said
    assert "passthrough=" in said
    assert "give it a name without the word" in said


@pytest.mark.parametrize("name", OTHERS)
def test_whole_words_count_and_what_the_last_of_them_says(name):
    assert geometric_word(name) is None
    mixed, _ = KMixupLayer(1, 1e4)({"image": IMAGES, name: CORNERS}, np.eye(4), seed=1)
    # With ratios of a half, and partners that are others', nothing is as it was.
    assert (np.abs(mixed[name] - CORNERS).reshape(4, -1).max(axis=1) > 0).all()


@pytest.mark.parametrize("name", ["box_id", "landmark_id", "has_bbox", "keypoint_type"])
def test_one_number_for_each_sample_may_say_something_of_them(name):
    numbers = RNG.random((4, 1)).astype(np.float32)
    for leaf in (numbers, numbers[:, 0]):
        KMixupLayer(1)({"image": IMAGES, name: leaf}, np.eye(4), seed=1)
    assert "cannot be mixed" in message(lambda: KMixupLayer(1)({"image": IMAGES, name: CORNERS}, np.eye(4), seed=1))


@pytest.mark.parametrize("name", ["bbox_xmin", "box_w", "keypoint_3_x"])
def test_one_number_for_each_sample_may_be_a_coordinate(name):
    assert "cannot be mixed" in message(lambda: MixLayer()({"image": IMAGES, name: CORNERS[:, 0, 0]}, np.eye(4)))


def test_parts_of_what_is_so_named_are_refused_and_ragged_ones_before_they_are_read():
    nested = {"bounding_boxes": {"corners": CORNERS, "classes": np.zeros((4, 3), np.float32)}}
    assert "'bounding_boxes/classes'" in message(lambda: CutMixLayer()(IMAGES, nested))
    ragged = tf.RaggedTensor.from_tensor(CORNERS)
    assert "bounding boxes cannot" in message(lambda: MixLayer()(IMAGES, {"gt_boxes": ragged}))


def test_geometry_rides_along_where_it_is_named_and_what_is_named_a_mask_is_one():
    there = RNG.random((4, 3)) > 0.5
    layer = KMixupLayer(1, passthrough="gt_boxes", masks="box_mask")
    x, y = layer({"image": IMAGES, "box_mask": there}, {"gt_boxes": CORNERS, "label": np.eye(4)}, seed=1)
    np.testing.assert_array_equal(y["gt_boxes"], CORNERS)
    assert x["box_mask"].dtype == bool


@pytest.mark.parametrize("name", ["gt_boxes", "landmarks"])
def test_models_that_shrink_their_inputs_refuse_them_as_well(name):
    inputs = {"image": keras.Input((3,), name="image"), name: keras.Input((4,), name=name)}
    model = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Concatenate()(list(inputs.values()))))
    x = {"image": IMAGES[:, 0, 0], name: CORNERS[:, 0]}
    for wrapped in (RescaledModel(model, 1.0), ApproximateMixupModel(model, 1.0)):
        said = message(wrapped.adapt, x, np.array([0, 1, 0, 1]))
        assert said.startswith(f"{type(wrapped).__name__}: ")
        assert "cannot be mixed" in said
    RescaledModel(model, 1.0, passthrough=name).adapt(x, np.array([0, 1, 0, 1]))
