"""The blend: what is seen, and that labels, shares and maps say the same."""

import numpy as np
import pytest
import tensorflow as tf

from kmix_tf import CoMixupBlend

RNG = np.random.default_rng(21)


def constants(number, *shape):
    """Images of one value each, the number of the image."""
    return np.broadcast_to(np.arange(number).reshape(-1, *[1] * len(shape)), (number, *shape)).astype(np.float32)


def saliency_of(number, *shape):
    return tf.constant(RNG.exponential(size=(number, *shape)).astype(np.float32))


def blended(blend, leaves, saliency, seed=1, ratio=0.5):
    leaves = [tf.constant(leaf) for leaf in leaves]
    number = leaves[0].shape[0]
    partner = tf.roll(tf.range(number), 1, axis=0)
    return blend(leaves, leaves, partner, tf.fill([number], ratio), seed, saliency=(saliency, saliency))


@pytest.mark.parametrize(
    ("shape", "axes", "blocks"), [((8, 8), 2, 4), ((9, 7), 2, 3), ((11,), 1, 4), ((4, 5, 4), 3, 2), ((12, 12), 2, 6)]
)
def test_each_place_shows_one_image_or_two_by_halves_and_shares_count_them(shape, axes, blocks):
    x = constants(6, *shape)
    made = blended(CoMixupBlend(axes, blocks=blocks, part=4), [x], saliency_of(6, *shape))
    first, second = (source.numpy() for source in made.sources)
    np.testing.assert_array_equal(made.x[0], (first + second) / 2)
    counted = [(np.eye(6)[each].reshape(6, -1, 6)).mean(axis=1) for each in (first, second)]
    np.testing.assert_allclose(made.shares, np.mean(counted, axis=0), atol=1e-6)
    np.testing.assert_allclose(made.ratio, np.diag(made.shares))
    # Blocks are whole.
    borders = [np.arange(size) * blocks // size for size in shape]
    of_blocks = first[np.ix_(range(6), *(np.unique(border, return_index=True)[1] for border in borders))]
    np.testing.assert_array_equal(first, of_blocks[np.ix_(range(6), *borders)])


def test_a_salient_block_is_shown_wherever_it_is():
    # Each image matters in one place, another for each: every mixture can show all of them.
    saliency = np.full((4, 8, 8), 1e-6, np.float32)
    for number, (row, column) in enumerate([(0, 0), (0, 4), (4, 0), (4, 4)]):
        saliency[number, row : row + 4, column : column + 4] = 1
    blend = CoMixupBlend(blocks=2, gamma=0.0, eta=0.0)
    made = blended(blend, [constants(4, 8, 8)], tf.constant(saliency))
    np.testing.assert_array_equal(made.x[0][:, ::4, ::4], np.broadcast_to([[0, 1], [2, 3]], (4, 2, 2)))
    # With the penalty, they cannot all be the same.
    made = blended(CoMixupBlend(blocks=2, gamma=1.0, eta=0.0, threshold=0.5), [constants(4, 8, 8)], saliency)
    assert len(np.unique(made.shares, axis=0)) > 1


def test_what_is_shown_is_salient_and_no_image_is_shown_too_often():
    saliency = saliency_of(20, 16, 16) ** 4
    made = blended(CoMixupBlend(), [constants(20, 16, 16)], saliency)
    cells = saliency.numpy().reshape(20, 4, 4, 4, 4).mean(axis=(2, 4))
    cells /= cells.sum(axis=(1, 2), keepdims=True)
    pairs = np.stack([source.numpy()[:, ::4, ::4] for source in made.sources], axis=-1)
    rows, columns = np.meshgrid(range(4), range(4), indexing="ij")
    shown = cells[pairs, rows[..., np.newaxis], columns[..., np.newaxis]].mean(axis=-1).sum(axis=(1, 2))
    assert shown.mean() > 1.3  # an image shows 1 of its own saliency, blocks at random as much
    total = made.shares.numpy().sum(axis=0)
    assert total.max() < 2
    assert (np.count_nonzero(made.shares, axis=1) > 1).mean() > 0.8


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64", "uint8"])
def test_several_leaves_of_any_dtype_are_mixed_alike(dtype):
    image = tf.cast(RNG.uniform(0, 99, (5, 8, 8, 3)), dtype)
    depth, table = tf.cast(image[..., 0], tf.float64), tf.cast(image[:, 0, :, 0], dtype)
    made = blended(CoMixupBlend(part=3), [table, image, depth], saliency_of(5, 8, 8))
    kept = image.dtype if image.dtype.is_floating else tf.float32
    assert [leaf.dtype for leaf in made.x] == [kept, kept, tf.float64]
    np.testing.assert_allclose(
        tf.cast(made.x[1][..., 0], tf.float64), made.x[2], rtol=1e-2 if "16" in dtype else 1e-6
    )
    expected = made.shares.numpy().astype(float) @ tf.cast(table, tf.float64).numpy()
    np.testing.assert_allclose(tf.cast(made.x[0], tf.float64), expected, rtol=2e-2 if "16" in dtype else 1e-5)


def test_a_batch_that_is_not_to_be_mixed_comes_back_as_it_is():
    x = RNG.normal(size=(6, 8, 8, 2)).astype(np.float32)
    made = blended(CoMixupBlend(), [x], saliency_of(6, 8, 8), ratio=1.0)
    np.testing.assert_array_equal(made.x[0], x)
    np.testing.assert_array_equal(made.shares, np.eye(6))


@pytest.mark.parametrize("number", [0, 1, 2, 3])
def test_batches_of_any_size_are_mixed(number):
    x = constants(number, 8, 8, 1)
    made = blended(CoMixupBlend(), [x], saliency_of(number, 8, 8))
    assert made.x[0].shape == x.shape and made.shares.shape == (number, number)
    np.testing.assert_allclose(np.sum(made.shares, axis=1), np.ones(number), rtol=1e-6)
    if number == 1:
        np.testing.assert_array_equal(made.x[0], x)


def test_a_sample_of_which_nothing_is_known_counts_everywhere_alike():
    saliency = saliency_of(4, 8, 8).numpy()
    saliency[1, 2, 3] = np.nan
    uniform = saliency.copy()
    uniform[1] = 1
    blend, x = CoMixupBlend(), constants(4, 8, 8)
    unknown, known = (blended(blend, [x], tf.constant(each)) for each in (saliency, uniform))
    np.testing.assert_array_equal(unknown.x[0], known.x[0])


@pytest.mark.parametrize("known", [True, False])
def test_images_smaller_than_the_blocks_are_refused(known):
    blend = CoMixupBlend(saliency=lambda features, targets: features[0])
    x = tf.ones([3, 8, 3])

    def mixed(x):
        return blend([x], [x], tf.constant([1, 2, 0]), tf.fill([3], 0.5), 0).x[0]

    spec = tf.TensorSpec([3, 8, 3] if known else [None, None, None])
    kind = ValueError if known else tf.errors.InvalidArgumentError
    with pytest.raises(kind, match=r"CoMixupBlend: images must have at least 4 places along each axis"):
        tf.function(mixed, input_signature=[spec])(x)


def test_what_is_no_image_is_refused():
    with pytest.raises(ValueError, match=r"CoMixupBlend: features must have 2 axes after the batch's"):
        blended(CoMixupBlend(), [np.ones((3, 5), np.float32)], tf.ones([3, 5]))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("axes", 4),
        ("part", 1),
        ("part", 2.5),
        ("blocks", 1),
        ("blocks", 65),
        ("alpha", 0),
        ("beta", -1),
        ("gamma", float("nan")),
        ("threshold", -0.1),
        ("eta", None),
        ("omega", 1.5),
        ("sweeps", 0),
    ],
)
def test_bad_arguments_are_named(name, value):
    with pytest.raises(ValueError, match=rf"CoMixupBlend: {name} must be .* Received: {name}="):
        CoMixupBlend(**{name: value})
