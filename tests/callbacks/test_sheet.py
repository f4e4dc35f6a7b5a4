"""Pictures of mixtures, read back pixel by pixel."""

import numpy as np
import pytest

from kmix_tf.callbacks.glyphs import written
from kmix_tf.callbacks.labels import named, numbered
from kmix_tf.callbacks.look import Mixtures
from kmix_tf.callbacks.sheet import as_table, sheet, shown_rows

GAP, CAPTION = 3, 10
ONE_HOT = np.eye(3, dtype=np.float32)


def mixtures_of(x, ratio=0.75, copies=1, y=None, shares=None):
    """Each sample with the next one, as the linear blend mixes them."""
    n = len(x)
    sample = np.tile(np.arange(n), copies)
    partner = (sample + 1) % n
    ratios = np.full(len(sample), ratio)
    wide = x.astype(np.float64)
    share = ratios.reshape([-1, *[1] * (x.ndim - 1)])
    mixed = share * wide[sample] + (1 - share) * wide[partner]
    if shares is not None:
        mixed = np.tensordot(shares, wide, 1)
    y = {"targets": ONE_HOT[np.arange(n) % 3]} if y is None else y
    mixed_y = {name: values[sample] for name, values in y.items()}
    return Mixtures(sample, partner, ratios, shares, None, ratios, {"x": x}, y, {"x": mixed}, mixed_y)


def tiles(picture, rows, columns):
    """The images in a sheet, without captions and borders."""
    height, width = picture.shape[0] // rows, picture.shape[1] // columns
    grid = picture.reshape(rows, height, columns, width, 3).transpose(0, 2, 1, 3, 4)
    return grid[:, :, GAP : -GAP - CAPTION - GAP, GAP:-GAP]


def bars(picture, rows, columns):
    """The rows of pixels in which the shares stand."""
    height, width = picture.shape[0] // rows, picture.shape[1] // columns
    grid = picture.reshape(rows, height, columns, width, 3).transpose(0, 2, 1, 3, 4)
    return grid[:, -1, -GAP - 1, GAP:-GAP]


SHADES = np.array([0.0, 0.4, 1.0])


@pytest.mark.parametrize(
    ("scale", "offset", "dtype"),
    [(1, 0, "float32"), (2, -1, "float32"), (255, 0, "uint8"), (40, 7, "float64"), (1, 0, "float16")],
    ids=["[0, 1]", "[-1, 1]", "bytes", "[7, 47]", "half"],
)
def test_samples_partner_and_mixture_stand_side_by_side(scale, offset, dtype):
    x = np.broadcast_to(SHADES.reshape(3, 1, 1, 1), (3, 8, 8, 3)) * scale + offset
    picture = sheet(
        mixtures_of(np.round(x, 3).astype(dtype)),
        "x",
        [0, 1],
    )
    shades = tiles(picture, 2, 3)
    assert picture.dtype == np.uint8 and shades.shape[2:4] == (96, 96)
    assert (shades == shades[:, :, :1, :1]).all()
    expected = [[SHADES[0], SHADES[1], 0.25 * SHADES[1]], [SHADES[1], SHADES[2], 0.75 * SHADES[1] + 0.25]]
    np.testing.assert_allclose(shades[:, :, 0, 0, 0] / 255, expected, atol=0.003)


def test_images_are_not_turned_over():
    x = np.zeros((2, 2, 4, 1), np.float32)
    x[0, 0, 1] = 1
    tile = tiles(sheet(mixtures_of(x, ratio=1.0), "x", [0]), 1, 3)[0, 0]
    assert tile.shape == (48, 96, 3)
    assert (tile[:24, 24:48] == 255).all() and tile.sum() == 24 * 24 * 3 * 255


@pytest.mark.parametrize(("ratio", "length"), [(0.75, 72), (0.0, 0), (1.0, 96)])
def test_the_bar_is_as_long_as_the_share(ratio, length):
    x = np.zeros((2, 8, 8), np.float32)
    bar = bars(sheet(mixtures_of(x, ratio), "x", [0]), 1, 3)[0]
    own = (bar == bar[0]).all(axis=1).sum() if ratio else 0
    assert own == length
    assert (bar != 255).any(axis=1).all()


def test_three_samples_have_three_columns_and_colours():
    shares = np.eye(4) * 0.5 + np.roll(np.eye(4), 1, axis=1) * 0.25 + np.roll(np.eye(4), 2, axis=1) * 0.25
    x = np.linspace(0, 1, 4).reshape(4, 1, 1, 1) * np.ones((4, 8, 8, 1))
    picture = sheet(mixtures_of(x, 0.5, shares=shares), "x", [0])
    shades = tiles(picture, 1, 4)[0, :, 0, 0, 0]
    np.testing.assert_allclose(shades / 255, [0, 1 / 3, 2 / 3, 0.25], atol=0.003)
    colours, counts = np.unique(bars(picture, 1, 4)[0], axis=0, return_counts=True)
    assert len(colours) == 3 and sorted(counts) == [24, 24, 48]


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 7])
def test_any_number_of_channels_can_be_seen(channels):
    x = np.random.default_rng(0).random((4, 9, 5, channels))
    tile = tiles(sheet(mixtures_of(x, 1.0), "x", [0]), 1, 3)[0, 0][:, : 5 * (96 // 9)]
    small = tile[:: 96 // 9, :: 96 // 9] / 255
    expected = x[0] if channels == 3 else x[0].mean(axis=-1, keepdims=True).repeat(3, axis=-1)
    if channels == 4:  # on white
        expected = x[0, ..., :3] * x[0, ..., 3:] + 1 - x[0, ..., 3:]
    np.testing.assert_allclose(small, expected, atol=0.003)


def test_columns_of_a_table_are_as_high_as_they_are_in_their_range():
    table = np.array([[0, 1000, 5], [1, 3000, 5], [4, 1000, 5]], np.float32)
    tile = tiles(sheet(mixtures_of(table, 0.5), "x", [1]), 1, 3)[0]
    filled = (tile != 235).any(axis=-1).sum(axis=1)[:, 1 :: tile.shape[2] // 3]
    # Of 48 pixels: of the sample, its partner, and the mean of both.
    np.testing.assert_array_equal(filled[:, :3], [[12, 48, 0], [48, 0, 0], [30, 24, 0]])


def test_a_signal_is_drawn_in_one_range_and_made_narrower():
    signal = np.stack([np.linspace(0, 1, 640), np.linspace(1, 0, 640)])
    tile = tiles(sheet(mixtures_of(signal, 0.5), "x", [0]), 1, 3)[0]
    assert tile.shape[1:3] == (48, 160)
    heights = (tile[..., 0] < 150).sum(axis=1)
    assert heights[0, 8] < 5 and heights[0, 150] > 43
    np.testing.assert_allclose(heights[2], 24, atol=1)


@pytest.mark.parametrize(
    "shape",
    [
        (4,),
        (4, 1),
        (4, 3),
        (4, 900),
        (4, 30, 2),
        (4, 500, 40),
        (4, 3, 700),
        (4, 5, 5, 5, 3),
        (4, 1, 1, 1),
        (4, 700, 3, 1),
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", ["random", "equal"])
def test_features_of_any_shape_are_drawn(shape, kind):
    x = np.random.default_rng(0).normal(size=shape) if kind == "random" else np.full(shape, 3.0)
    picture = sheet(mixtures_of(x), "x", [0, 2])
    assert picture.dtype == np.uint8 and picture.ndim == 3 and picture.shape[1] >= 3 * 64
    assert max(picture.shape[0] / 2, picture.shape[1] / 3) < 200


def test_all_mixtures_of_a_sample_come_one_after_another():
    assert shown_rows(mixtures_of(np.zeros((3, 2)), copies=2), 5) == [0, 3, 1, 4, 2]
    assert shown_rows(mixtures_of(np.zeros((3, 2))), 9) == [0, 1, 2]


def test_numbers_are_written_so_that_they_can_be_read():
    one, seven = (written(text, 8) for text in "17")
    assert one.shape == (10, 8)
    assert [row.tolist() for row in (written("7", 6)[::2, ::2] == 0).astype(int)] == [
        [1, 1, 1],
        [0, 0, 1],
        [0, 0, 1],
        [0, 1, 0],
        [0, 1, 0],
    ]
    assert not np.array_equal(one, seven)
    pictures = {written(text, 8).tobytes() for text in "0123456789.,-+e:% "}
    assert len(pictures) == 18
    assert written("0.5 and more", 20).shape == (10, 20)


@pytest.mark.parametrize(
    ("target", "number", "words"),
    [
        (np.int64(2), "2", "fox"),
        (np.array([1]), "1", "dog"),
        (np.float32(1.5), "1.5", "1.5"),
        (ONE_HOT[1], "1", "dog"),
        (np.array([0.25, 0.0, 0.75]), "2", "0.75 fox + 0.25 cat"),
        (np.array([1.0, 0.0, 1.0]), "0,2", "cat,fox"),
        (np.array([0.5, -2.0]), "0.5,-2", "0.5,-2"),
        (np.zeros((2, 2, 3)), "", ""),
    ],
    ids=["class", "column", "number", "one-hot", "soft", "several", "numbers", "map"],
)
def test_labels_in_words(target, number, words):
    targets = {"targets": np.stack([target, target])}
    assert numbered(targets, 1) == number
    assert named(targets, 1, ["cat", "dog", "fox"]) == words


def test_the_table_says_who_is_mixed_with_whom():
    text = as_table(mixtures_of(np.zeros((3, 2))), [1], ["a|b", "c", "d"])
    head, rule, line = text.splitlines()
    assert head.count(" | ") == rule.count(" | ") == 4
    assert line == "| 1 | 0.750 x c (row 1) + 0.250 x d (row 2) | 0.75 | 1 | c |"
    assert "a\\|b" in as_table(mixtures_of(np.zeros((3, 2))), [0], ["a|b", "c", "d"])


def test_packed_targets_are_said_to_be_packed():
    mixtures = mixtures_of(np.zeros((3, 2)))._replace(mixed_y={"targets": np.zeros((3, 8))})
    assert as_table(mixtures, [0], None).splitlines()[-1].endswith("| packed |")
