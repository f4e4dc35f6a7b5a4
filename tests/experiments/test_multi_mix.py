"""What the experiments on several interpolations make of images, against NumPy."""

import numpy as np
import tensorflow as tf
from sklearn import datasets

from experiments.multi_mix import common, figure_3, table_2


def test_images_show_a_digit_of_their_class_and_no_digit_twice():
    sets = common.digits_on_photographs(3, 20, 30, background=0.5)
    assert [len(each.y) for each in sets] == [20, 30]
    digits = datasets.load_digits()
    order = np.random.default_rng(3).permutation(len(digits.target))[:50]
    np.testing.assert_array_equal(np.concatenate([each.y for each in sets]), digits.target[order])
    for each, rows in zip(sets, (order[:20], order[20:]), strict=True):
        shown = each.foreground.sum(axis=(1, 2))
        np.testing.assert_array_equal(shown, (digits.images[rows] > 0).sum(axis=(1, 2)))
        assert each.x[~each.foreground].max() <= 0.5 < each.x.max() <= 1


def test_cutout_leaves_what_is_outside_of_the_squares():
    x = tf.ones((40, 16, 16, 1))
    cut = common.cutout(x, None, tf.constant([1, 2], tf.int64))[0].numpy()[..., 0]
    for image in cut:
        rows, columns = np.nonzero(image == 0.25)
        # A whole rectangle, of 8 x 8 places unless the edge clips it.
        assert len(rows) == (np.ptp(rows) + 1) * (np.ptp(columns) + 1)
        assert 16 <= len(rows) <= 64
    assert (cut == 1).any(axis=(1, 2)).all()


def test_shifted_images_are_the_image_moved_with_its_edge_repeated():
    image = np.random.default_rng(0).random((1, 16, 16, 1)).astype(np.float32)
    x, y = table_2.augmented(tf.constant(image), tf.constant([[0.0, 1.0]]), tf.constant([1, 2], tf.int64), 5, 1)
    padded = np.pad(image[0, ..., 0], 1, mode="edge")
    moved = [padded[a : a + 16, b : b + 16] for a in range(3) for b in range(3)]
    assert x.shape == (5, 16, 16, 1) and y.shape == (5, 2)
    found = {next(i for i, each in enumerate(moved) if np.array_equal(each, one[..., 0])) for one in x.numpy()}
    assert len(found) > 1


def test_pairs_are_in_order_where_mixtures_go_away_from_the_sample():
    images = np.zeros((2, 4, 4, 1))
    mixtures = np.ones((2, 2, 4, 4, 1)) * np.array([[1.0, 2.0], [2.0, 1.0]])[..., None, None, None]
    np.testing.assert_array_equal(figure_3._are_in_order(images, mixtures.reshape(4, 4, 4, 1), 2), [True, False])


def test_borders_are_where_shares_change():
    mixtures = np.zeros((1, 4, 4, 3))
    mixtures[:, :, 2:] = 0.6
    mixtures[:, 3] += 5.0
    shares = (mixtures[..., :1] % 5 > 0.5).astype(float)
    np.testing.assert_allclose(figure_3._jump(mixtures, shares), 0.6)
    assert figure_3._jump(mixtures, np.ones((1, 4, 4, 1))) == 0
