"""Boxes where a blend pastes: what is seen of them, against pixels counted one by one."""

import numpy as np
import pytest
import tensorflow as tf

from kmix_tf import (
    AttentiveMixLayer,
    Blended,
    CutMixBlend,
    CutMixLayer,
    FMixLayer,
    GridMixLayer,
    KMixupLayer,
    MixLayer,
    PuzzleMixLayer,
    SaliencyMixLayer,
)

BATCH, N, HEIGHT, WIDTH, FINE = 6, 5, 12, 16, 4
RNG = np.random.default_rng(0)
# The first channel says whose a place is; the others are something to be salient.
IMAGES = RNG.random((BATCH, HEIGHT, WIDTH, 3)).astype(np.float32)
IMAGES[..., 0] = 2.0 ** np.arange(BATCH)[:, np.newaxis, np.newaxis]


def some_boxes():
    """Left, top, right, bottom, in quarters of places; some reach beyond the edge, one has no area."""
    ends = [np.sort(RNG.integers(-8, FINE * size + 8, (BATCH, N, 2)), axis=2) for size in (WIDTH, HEIGHT)]
    boxes = np.stack([ends[0][..., 0], ends[1][..., 0], ends[0][..., 1], ends[1][..., 1]], axis=-1) / FINE
    boxes[0, 0, 2] = boxes[0, 0, 0]
    boxes[1, 1] = 3, 2, 4, 3  # one place, seen or not
    return boxes.astype(np.float32)


CORNERS = some_boxes()
LABELS = np.where(np.arange(N) < np.array([5, 4, 5, 0, 3, 5])[:, np.newaxis], np.arange(N) + 1, -1)
LAYERS = {
    "cutmix": lambda **more: CutMixLayer(scope="sample", **more),
    "cutmix, several": lambda **more: CutMixLayer(interpolations=3, **more),
    "fmix": lambda **more: FMixLayer(scope="sample", **more),
    "gridmix": lambda **more: GridMixLayer(interpolations=2, **more),
    "attentivemix": lambda **more: AttentiveMixLayer(grid=4, scope="sample", **more),
    "saliencymix": lambda **more: SaliencyMixLayer(interpolations=2, **more),
    "puzzles": lambda **more: PuzzleMixLayer(blocks=4, n_labels=3, transport=False, solver="graph", **more),
    "any mix": lambda **more: MixLayer(blend=CutMixBlend(), **more),
    "seldom": lambda **more: CutMixLayer(probability=0.5, **more),
}
# What each format makes of left, top, right, bottom.
FORMATS = {
    "xyxy": lambda x, y, r, b: (x, y, r, b),
    "yxyx": lambda x, y, r, b: (y, x, b, r),
    "xywh": lambda x, y, r, b: (x, y, r - x, b - y),
    "center_xywh": lambda x, y, r, b: ((x + r) / 2, (y + b) / 2, r - x, b - y),
    "center_yxhw": lambda x, y, r, b: ((y + b) / 2, (x + r) / 2, b - y, r - x),
}
BACK = {
    "xyxy": lambda x, y, r, b: (x, y, r, b),
    "yxyx": lambda y, x, b, r: (x, y, r, b),
    "xywh": lambda x, y, w, h: (x, y, x + w, y + h),
    "center_xywh": lambda x, y, w, h: (x - w / 2, y - h / 2, x + w / 2, y + h / 2),
    "center_yxhw": lambda y, x, h, w: (x - w / 2, y - h / 2, x + w / 2, y + h / 2),
}


def written(boxes, name):
    kind = name.removeprefix("rel_")
    units = np.array([WIDTH, HEIGHT] * 2 if name.startswith("rel_") else [1] * 4)
    return np.stack(FORMATS[kind](*np.moveaxis(boxes / units, -1, 0)), axis=-1).astype(boxes.dtype)


def read(boxes, name):
    kind = name.removeprefix("rel_")
    units = np.array([WIDTH, HEIGHT] * 2 if name.startswith("rel_") else [1] * 4)
    return np.stack(BACK[kind](*np.moveaxis(np.asarray(boxes, np.float64), -1, 0)), axis=-1) * units


def shown_of(pixels, own, other):
    """The own sample's share at each place, by the numbers that are seen there."""
    if own == other:
        return np.ones_like(pixels)
    ours, theirs = (IMAGES[each, 0, 0, 0] for each in (own, other))
    return np.round((pixels - theirs) / (ours - theirs), 4)


def other_of(pixels, own):
    """Whose number is mixed in: any other than the sample's own, or half of it."""
    for each in range(BATCH):
        ours, theirs = IMAGES[own, 0, 0, 0], IMAGES[each, 0, 0, 0]
        values = {ours, theirs, (ours + theirs) / 2}
        if each != own and {*np.unique(pixels)} <= values and {*np.unique(pixels)} != {ours}:
            return each
    return own


def counted(box, share, visibility):
    """A box as it is seen, and what part of it, by quarters of places one by one; None if it is not kept."""
    fine = share.repeat(FINE, 0).repeat(FINE, 1)
    left, top, right, bottom = np.round(box * FINE).astype(int)
    inside = np.zeros(fine.shape, bool)
    inside[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)] = True
    if not inside.any():
        return (box, 1.0) if (share == 1).all() else None
    part = fine[inside].mean()
    if part == 0 or part < visibility:
        return None
    if part == 1:
        return box, 1.0
    rows, columns = np.nonzero(inside & (fine > 0))
    return np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]) / FINE, part


def held(x, y, boxes, visibility, box_format="xyxy", tolerance=1e-5):
    got = {key: np.asarray(leaf) for key, leaf in y["bounding_boxes"].items()}
    corners = read(got["boxes"], box_format)
    kept = lost = cut = 0
    for row, pixels in enumerate(np.asarray(x)[..., 0]):
        own = row % BATCH
        other = other_of(pixels, own)
        share = shown_of(pixels, own, other)
        for half, sample, mask in ((0, own, share), (N, other, 1 - share)):
            for at in range(N):
                place = row, half + at
                if LABELS[sample, at] < 0:
                    assert got["labels"][place] == -1 and got["box_weights"][place] == 0
                    continue
                want = None if half and sample == own else counted(boxes[sample, at], mask, visibility)
                if want is None:
                    assert got["labels"][place] == -1, place
                    assert got["box_weights"][place] == 0
                    if not (half and sample == own):  # Of an unseen partner, padding stays as it came.
                        np.testing.assert_array_equal(got["boxes"][place], 0)
                    lost += 1
                    continue
                assert got["labels"][place] == LABELS[sample, at], place
                np.testing.assert_allclose(corners[place], want[0], atol=tolerance)
                np.testing.assert_allclose(got["box_weights"][place], want[1], atol=1e-5)
                kept += 1
                cut += want[1] < 1
    return kept, lost, cut


@pytest.mark.parametrize(
    "seed", [0, pytest.param(1, marks=pytest.mark.matrix), pytest.param(2, marks=pytest.mark.matrix)]
)
@pytest.mark.parametrize("visibility", [0.0, 0.1, 0.5, 1.0])
@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.representatives(
    "name, visibility",
    [
        ("cutmix", 0.1),
        ("cutmix, several", 0.5),
        ("fmix", 0.0),
        ("gridmix", 0.1),
        ("saliencymix", 0.1),
        ("puzzles", 0.1),
        ("seldom", 0.5),
    ],
)
def test_boxes_are_kept_cut_and_weighed_by_what_is_seen_of_them(name, visibility, seed):
    layer = LAYERS[name](bounding_box_format="xyxy", box_visibility=visibility, box_weights=True)
    kept = lost = cut = 0
    for more in range(3):
        x, y = layer(IMAGES, {"bounding_boxes": {"boxes": CORNERS, "labels": LABELS}}, seed=10 * seed + more)
        found = held(x, y, CORNERS, visibility)
        kept, lost, cut = kept + found[0], lost + found[1], cut + found[2]
    assert kept > 20 and lost > 5
    assert cut > 5 or visibility == 1


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("name", [*FORMATS, *(f"rel_{each}" for each in FORMATS)])
@pytest.mark.representatives(
    "name, dtype",
    [(name, "float32") for name in FORMATS]
    + [("rel_yxyx", "float64"), ("rel_center_xywh", "float32"), ("rel_xywh", "float16")],
)
def test_every_format_that_keras_names_is_cut_alike(name, dtype):
    layer = CutMixLayer(scope="sample", bounding_box_format=name, box_weights=True)
    boxes = written(CORNERS, name).astype(dtype)
    x, y = layer(IMAGES, {"bounding_boxes": {"boxes": boxes, "labels": LABELS}}, seed=4)
    assert y["bounding_boxes"]["boxes"].dtype == dtype
    if dtype == "float16":  # what is seen of a rounded box may be a little more or less
        whole = y["bounding_boxes"]["box_weights"].numpy()[:, :N] == 1
        np.testing.assert_array_equal(y["bounding_boxes"]["boxes"].numpy()[:, :N][whole], boxes[whole])
        assert np.isfinite(y["bounding_boxes"]["boxes"]).all()
        return
    held(x, y, CORNERS, 0.1, name, tolerance=1e-4)


def test_boxes_that_are_seen_whole_come_back_to_the_bit():
    boxes = RNG.random((BATCH, N, 4)).astype(np.float32) * 0.3
    layer = CutMixLayer(0.0, bounding_box_format="rel_center_xywh")
    _, y = layer(IMAGES, {"boxes": boxes, "labels": LABELS}, seed=1)
    np.testing.assert_array_equal(y["boxes"][:, :N], boxes)
    assert (y["labels"].numpy()[:, N:] == -1).all()
    _, y = CutMixLayer(bounding_box_format="rel_xywh").for_evaluation()(IMAGES, {"boxes": boxes, "labels": LABELS})
    np.testing.assert_array_equal(y["boxes"], boxes)


def test_ragged_boxes_in_a_map_and_dense_ones_under_xla_are_the_same_as_by_hand():
    layer = CutMixLayer(bounding_box_format="xyxy", box_weights=True, solver="graph", scope="sample")
    y = {"bounding_boxes": {"boxes": CORNERS, "labels": LABELS}}
    plain = layer(IMAGES, y, seed=3)
    compiled = tf.function(lambda x, y: layer(x, y, seed=3), jit_compile=True)(IMAGES, y)
    for got, want in zip(tf.nest.flatten(compiled), tf.nest.flatten(plain), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)
    held(*compiled, CORNERS, 0.1)
    counts = (LABELS >= 0).sum(axis=1)
    rows = [tf.RaggedTensor.from_row_lengths(leaf[LABELS >= 0], counts) for leaf in (CORNERS, LABELS)]
    ragged = {"bounding_boxes": dict(zip(("boxes", "labels"), rows, strict=True))}
    data = tf.data.Dataset.from_tensors((IMAGES, ragged)).map(lambda x, y: layer(x, y, seed=3))
    for x, got in data:
        held(x, got, CORNERS, 0.1)


def test_several_loaders_are_cut_by_the_same_rule():
    layer = CutMixLayer(bounding_box_format="xyxy", box_weights=True, scope="sample")
    boxes = np.tile(np.array([0, 0, WIDTH, HEIGHT], np.float32), (BATCH, 1, 1))
    side = {"boxes": boxes, "labels": np.ones((BATCH, 1), np.int32)}
    (x, y) = layer.between((IMAGES, side), (IMAGES * 0, side), seed=1)
    # A box of the whole image is seen as far as the image is; the partner's is round what was pasted.
    share = (np.asarray(x)[..., 0] > 0).mean(axis=(1, 2))
    there = np.stack([share, 1 - share], axis=1) >= 0.1
    np.testing.assert_allclose(y["box_weights"], np.where(there, np.stack([share, 1 - share], axis=1), 0), atol=1e-6)
    left, top, right, bottom = np.moveaxis(y["boxes"].numpy()[:, 1], -1, 0)
    np.testing.assert_allclose(
        ((right - left) * (bottom - top) / WIDTH / HEIGHT)[there[:, 1]], (1 - share)[there[:, 1]], atol=1e-6
    )


@pytest.mark.parametrize("layer", [CutMixLayer(), FMixLayer(), KMixupLayer(1, blend=CutMixBlend())])
def test_boxes_without_their_format_are_refused_where_a_blend_pastes(layer):
    words = r"bounding_box_format must say how boxes are written.*Received: bounding_box_format=None. Give 'xyxy'"
    with pytest.raises(ValueError, match=f"^{type(layer).__name__}: {words}"):
        layer(IMAGES, {"boxes": CORNERS, "labels": LABELS})
    layer(IMAGES, {"boxes": CORNERS, "labels": LABELS}, training=False)


def test_what_pasting_cannot_keep_right_is_refused_by_name():
    y = {"boxes": CORNERS, "labels": LABELS}
    with pytest.raises(ValueError, match=r"PuzzleMixLayer: .*whose places are moved.*transport=False"):
        PuzzleMixLayer(blocks=4, solver="graph", bounding_box_format="xyxy")(IMAGES, y)
    for key, value in (("keypoints", np.zeros((BATCH, N, 4, 2), np.float32)), ("area", np.ones((BATCH, N)))):
        with pytest.raises(
            ValueError, match=rf"CutMixLayer: '{key}' of objects cannot be mixed by a blend that pastes"
        ):
            CutMixLayer(bounding_box_format="xyxy")(IMAGES, {**y, key: value})
    with pytest.raises(ValueError, match=r"bounding boxes need images of two axes\. Received: a blend with axes=1"):
        CutMixLayer(axes=1, bounding_box_format="xyxy")(IMAGES, y)


def test_a_smooth_mask_counts_by_how_much_is_seen():
    def half(first, second, partner, ratio, seed):  # the left half is the sample's, the right half of both
        mask = tf.concat([tf.ones([BATCH, HEIGHT, WIDTH // 2]), tf.fill([BATCH, HEIGHT, WIDTH // 2], 0.5)], axis=2)
        x = mask[..., tf.newaxis] * first[0] + (1 - mask[..., tf.newaxis]) * tf.gather(second[0], partner)
        return Blended([x], tf.fill(tf.shape(ratio), 0.75), mask)

    boxes = np.tile(np.array([[4, 2, 12, 6]], np.float32), (BATCH, 1, 1))
    layer = MixLayer(blend=half, bounding_box_format="xyxy", box_weights=True)
    x, y = layer(IMAGES, {"boxes": boxes, "labels": np.ones((BATCH, 1), np.int64)}, seed=2)
    is_mixed = other = np.array([other_of(pixels, row) != row for row, pixels in enumerate(np.asarray(x)[..., 0])])
    assert is_mixed.any()
    np.testing.assert_allclose(y["box_weights"].numpy()[is_mixed], [[0.75, 0.25]] * other.sum())
    np.testing.assert_allclose(y["boxes"].numpy()[is_mixed], [[[4, 2, 12, 6], [8, 2, 12, 6]]] * other.sum())
