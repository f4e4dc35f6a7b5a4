import numpy as np
import pytest
import tensorflow as tf
from scipy.stats import chisquare, kstest

from kmix_tf.analysis.noise import background_noise, gaussian_noise


def test_noise_is_normal_of_the_scale_asked_for_and_independent():
    x = np.random.default_rng(0).normal(size=(200, 500))
    noise = (gaussian_noise(x, 0.3, seed=5) - x) / 0.3
    # Each of these fails for one seed in 10^4.
    assert kstest(noise.ravel(), "norm").pvalue > 1e-4
    assert abs(noise.std() - 1) < 3.9 / np.sqrt(2 * noise.size)
    for other in (noise[:, 1:] * noise[:, :-1], noise[1:] * noise[:-1], noise * x):
        assert abs(other.mean()) < 3.9 / np.sqrt(other.size)
    assert np.abs(noise).max() > 4


def test_another_seed_is_other_noise_and_the_same_seed_the_same():
    x = np.zeros((4, 50), np.float32)
    first, again, other = gaussian_noise(x, 1, seed=1), gaussian_noise(x, 1, seed=1), gaussian_noise(x, 1, seed=2)
    np.testing.assert_array_equal(first, again)
    assert not np.isin(first, other).any()


def test_under_xla_it_is_the_same():
    x = tf.zeros([20, 30])
    compiled = tf.function(lambda x: gaussian_noise(x, 1.0, seed=3), jit_compile=True)
    plain = tf.function(lambda x: gaussian_noise(x, 1.0, seed=3))
    np.testing.assert_allclose(compiled(x), plain(x), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(plain(x), gaussian_noise(x, 1.0, seed=3), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", ("float16", "bfloat16", "float32", "float64"))
def test_what_comes_back_is_of_the_kind_and_dtype_that_came(dtype):
    x = tf.cast(np.full((3, 40), 0.5), dtype)
    ours = gaussian_noise(x, 0.2, clip=(0.25, 0.75))
    assert tf.is_tensor(ours) and ours.dtype == x.dtype
    array = gaussian_noise(x.numpy(), 0.2, clip=(0.25, 0.75))
    assert isinstance(array, np.ndarray) and array.dtype == x.numpy().dtype
    np.testing.assert_array_equal(array, ours)
    values = np.asarray(ours, np.float64)
    assert values.min() == 0.25 and values.max() == 0.75 and 0.3 < np.median(values) < 0.7


@pytest.mark.parametrize("corrupted", ("gaussian", "background"))
def test_a_dataset_is_the_same_in_every_epoch_and_differs_from_element_to_element(corrupted):
    x = np.zeros((12, 4, 4), np.float32)
    boxes = np.tile([[1, 1, 2, 2]], (12, 1))
    dataset = tf.data.Dataset.from_tensor_slices((x, boxes, np.arange(12))).batch(3)
    if corrupted == "gaussian":
        noisy = gaussian_noise(dataset.map(lambda x, box, y: (x, y)), 1.0, seed=4)
        first = gaussian_noise(x[:3], 1.0, seed=4)
    else:
        noisy = background_noise(dataset, None, 1.0, seed=4)
        first = background_noise(x[:3], boxes[:3], 1.0, seed=4)
    epochs = [list(noisy) for _ in range(3)]
    assert np.concatenate([y for _, y in epochs[0]]).tolist() == list(range(12))
    values = [np.stack([x for x, _ in epoch]) for epoch in epochs]
    np.testing.assert_array_equal(values[0], values[1])
    np.testing.assert_array_equal(values[0], values[2])
    np.testing.assert_allclose(values[0][0], first, rtol=1e-5, atol=1e-6)
    drawn = values[0][values[0] != 0]
    assert len(np.unique(drawn)) == drawn.size > 100


def test_a_dataset_of_features_alone_is_taken_too():
    dataset = tf.data.Dataset.from_tensor_slices(np.zeros((4, 3), np.float32)).batch(2)
    noisy = list(gaussian_noise(dataset, 1.0))
    assert [x.shape for x in noisy] == [[2, 3], [2, 3]] and np.ptp(noisy[0]) > 0


def inside(boxes, height, width):
    """By loops."""
    mask = np.zeros((len(boxes), height, width), bool)
    for i, (top, left, bottom, right) in enumerate(boxes):
        mask[i, top:bottom, left:right] = True
    return mask


BOXES = np.array([[0, 0, 1, 1], [1, 2, 4, 5], [3, 0, 5, 6], [0, 0, 5, 6]])


@pytest.mark.parametrize("channels", ((), (1,), (3,)), ids=str)
def test_noise_falls_on_the_background_only(channels):
    x = np.random.default_rng(1).random((4, 5, 6, *channels))
    mask = inside(BOXES, 5, 6)
    ours = background_noise(x, BOXES, 0.1, seed=2)
    np.testing.assert_array_equal(background_noise(x, mask, 0.1, seed=2), ours)
    np.testing.assert_array_equal(ours[mask], x[mask])
    noise = (ours - x)[~mask]
    # 3.9 standard deviations of a standard deviation: exceeded for one seed in 10^4.
    assert (noise != 0).all() and abs(noise.std() / 0.1 - 1) < 3.9 / np.sqrt(2 * noise.size)


def test_another_image_stands_behind_each_uniformly():
    x = np.arange(5.0)[:, None, None] * np.ones((5, 1, 2))
    mask = np.tile([[[True, False]]], (5, 1, 1))
    counts = np.zeros((5, 5))
    for seed in range(150):
        ours = background_noise(x, mask, "others", seed=seed)
        assert (ours[:, 0, 0] == np.arange(5)).all()
        counts[np.arange(5), ours[:, 0, 1].astype(int)] += 1
    assert (np.diag(counts) == 0).all()
    # Fails for one choice of seeds in 10^4.
    assert chisquare(counts[~np.eye(5, dtype=bool)]).pvalue > 1e-4


def test_given_backgrounds_are_drawn_uniformly():
    x, backgrounds = np.zeros((600, 1, 2)), np.arange(1.0, 5.0)[:, None, None] * np.ones((4, 1, 2))
    ours = background_noise(x, np.tile([[[True, False]]], (600, 1, 1)), backgrounds, seed=1)
    assert (ours[:, 0, 0] == 0).all()
    # Fails for one seed in 10^4.
    assert chisquare(np.unique(ours[:, 0, 1], return_counts=True)[1]).pvalue > 1e-4


IMAGES = np.zeros((4, 5, 6))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: gaussian_noise(IMAGES, -1), ValueError, "gaussian_noise: scale must be >= 0"),
        (lambda: gaussian_noise(IMAGES.astype(int), 1), TypeError, "gaussian_noise: x must be floating"),
        (lambda: gaussian_noise(IMAGES + np.inf, 1), ValueError, "gaussian_noise: x must be finite"),
        (lambda: gaussian_noise(0.5, 1), ValueError, r"gaussian_noise: x must be \(n, ...\)"),
        (lambda: gaussian_noise(IMAGES, 1, clip=(1, 2)), ValueError, r"gaussian_noise: x must be in clip=\[1, 2\]"),
        (lambda: gaussian_noise(IMAGES, 1, seed=2**31), ValueError, "gaussian_noise: seed must be an integer in"),
        (lambda: background_noise(IMAGES, BOXES, -1), ValueError, "background_noise: noise must be >= 0"),
        (lambda: background_noise(IMAGES, BOXES, "other"), ValueError, "noise must be one of 'others'"),
        (lambda: background_noise(IMAGES, BOXES, None), ValueError, "noise must be a number >= 0, 'others' or im"),
        (lambda: background_noise(IMAGES, BOXES, IMAGES[:, 1:]), ValueError, "noise must be images as those of x"),
        (lambda: background_noise(IMAGES[:1], BOXES[:1], "others"), ValueError, "needs two images at least"),
        (lambda: background_noise(IMAGES, BOXES[:3]), ValueError, "and foreground booleans"),
        (lambda: background_noise(IMAGES, inside(BOXES, 5, 7)), ValueError, "and foreground booleans"),
        (lambda: background_noise(IMAGES, BOXES[:, [0, 3, 2, 1]]), ValueError, "boxes must be"),
        (lambda: background_noise(IMAGES, BOXES[:, [1, 0, 3, 2]]), ValueError, "boxes must be"),
        (lambda: background_noise(tf.data.Dataset.from_tensors(IMAGES), None), ValueError, "must be of "),
        (lambda: background_noise(IMAGES, None), TypeError, "foreground must be an array .* Received: NoneType."),
        (lambda: background_noise(IMAGES, BOXES, IMAGES.astype(object)), TypeError, "noise must be an array of num"),
        (lambda: gaussian_noise(IMAGES.astype(object), 1), TypeError, "gaussian_noise: x must .* of dtype object."),
        (
            lambda: gaussian_noise(tf.data.Dataset.from_tensors({"a": IMAGES}), 1),
            ValueError,
            r"gaussian_noise: a dataset must be of \(x, ...\), tensors. Received: {'a'",
        ),
        (
            lambda: background_noise(tf.data.Dataset.from_tensors(IMAGES), BOXES),
            ValueError,
            "foreground must be None",
        ),
    ],
    ids=lambda value: None,
)
def test_other_arguments_are_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_a_bad_box_of_a_dataset_is_refused_as_it_is_drawn():
    dataset = tf.data.Dataset.from_tensors((IMAGES, BOXES + 1))
    with pytest.raises(tf.errors.InvalidArgumentError, match="background_noise: boxes must be"):
        next(iter(background_noise(dataset, None)))
