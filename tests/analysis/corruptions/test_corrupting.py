"""What all corruptions have in common, and what is refused."""

import numpy as np
import pytest
import tensorflow as tf

from kmix_tf.analysis.corruptions import corrupt, corruptions

NAMES = corruptions()
RANDOM = ("gaussian_noise", "shot_noise", "impulse_noise", "motion_blur", "fog")
IMAGES = np.full((3, 8, 9, 1), 0.5, np.float32)


def change(images, name, severity, seed=0):
    return np.square(corrupt(images, name, severity, seed) - images).mean()


@pytest.mark.parametrize(("side", "channels"), [(8, 1), (16, 3), (32, 3), (64, 1)])
@pytest.mark.parametrize("name", NAMES)
def test_photographs_change_more_with_each_severity(name, side, channels, photographs):
    images = photographs(side, channels)
    changes = [change(images, name, severity) for severity in range(1, 6)]
    assert np.diff([0, *changes]).min() > 0
    # A root mean square from 0.2 to 30 percent of the range: not nothing, nor the end of the picture.
    assert changes[0] ** 0.5 > 0.002 and changes[-1] ** 0.5 < 0.3


@pytest.mark.parametrize("shape", [(2, 8, 8, 1), (1, 9, 13, 3), (2, 31, 8, 4)], ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_shape_dtype_and_range_are_kept_and_the_images_given_untouched(name, shape):
    images = np.random.default_rng(0).random(shape)
    for dtype in (np.float64, np.float32, np.float16, np.uint8):
        given = (255 * images).astype(dtype) if dtype == np.uint8 else images.astype(dtype)
        before = given.copy()
        ours = corrupt(given, name, 3)
        assert isinstance(ours, np.ndarray) and ours.shape == shape and ours.dtype == dtype
        assert ours.min() >= 0 and ours.max() <= (255 if dtype == np.uint8 else 1)
        np.testing.assert_array_equal(given, before)


@pytest.mark.parametrize("name", NAMES)
def test_bytes_are_rounded_from_what_floats_become(name, photographs):
    whole = np.rint(255 * photographs(16)).astype(np.uint8)
    ours = corrupt(whole, name, 4, seed=1)
    floats = corrupt((whole / np.float32(255)).astype(np.float32), name, 4, seed=1)
    np.testing.assert_array_equal(ours, np.rint(255 * floats))


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_the_same_and_another_another_where_there_is_chance(name, photographs):
    images = photographs(16)[::5]
    first = corrupt(images, name, 3, seed=1)
    np.testing.assert_array_equal(corrupt(images, name, 3, seed=1), first)
    other = corrupt(images, name, 3, seed=2)
    # Each image its own way, not only the set.
    differ = (other != first).any(axis=(1, 2, 3))
    assert differ.all() if name in RANDOM else not differ.any()


@pytest.mark.parametrize("name", NAMES)
def test_an_image_changes_alike_whatever_comes_after_it(name, photographs):
    images = photographs(16)
    alone, among = corrupt(images[:7], name, 3, seed=4), corrupt(images, name, 3, seed=4)[:7]
    np.testing.assert_allclose(alone, among, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", RANDOM)
def test_equal_images_change_differently(name, photographs):
    twice = corrupt(np.repeat(photographs(16)[:1], 2, axis=0), name, 3)
    assert not np.allclose(twice[0], twice[1], atol=1e-3)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "jpeg"])
def test_channels_are_treated_alike(name, photographs):
    """Of equal channels noise differs, and nothing else does."""
    images = np.repeat(photographs(16, channels=1), 3, axis=3)
    spread = np.ptp(corrupt(images, name, 3), axis=3).max()
    assert spread > 0.1 if name.endswith("noise") else spread < 1e-6


def test_grey_stays_grey_in_jpeg(photographs):
    grey = photographs(16, channels=1)
    ours = corrupt(np.repeat(grey, 3, axis=3), "jpeg", 3)
    np.testing.assert_allclose(ours, np.repeat(corrupt(grey, "jpeg", 3), 3, axis=3), atol=1e-6)


def test_tensors_are_taken_also_in_bfloat16():
    ours = corrupt(tf.constant(IMAGES), "brightness", 2)
    assert isinstance(ours, np.ndarray)
    np.testing.assert_allclose(ours, 0.6, atol=1e-6)
    half = corrupt(tf.cast(IMAGES, tf.bfloat16), "brightness", 2)
    assert half.dtype.name == "bfloat16" and half.shape == IMAGES.shape


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"name": "snow"}, ValueError, "corrupt: name must be one of 'gaussian_noise', .*'jpeg'. Received: name='sn"),
        ({"severity": 0}, ValueError, "corrupt: severity must be an integer >= 1"),
        ({"severity": 6}, ValueError, "corrupt: severity must be 1, 2, 3, 4 or 5. Received: severity=6."),
        ({"seed": -1}, ValueError, "seed must be an integer >= 0"),
        (
            {"images": IMAGES[..., 0]},
            ValueError,
            r"of grey ones images\[..., np.newaxis\]. Received: shape \(3, 8, 9\)",
        ),
        ({"images": IMAGES[:, :7]}, ValueError, r"of sides of 8 at least; .* Received: shape \(3, 7, 9, 1\)"),
        ({"images": IMAGES[:0]}, ValueError, r"Received: shape \(0, 8, 9, 1\)"),
        ({"images": 255 * IMAGES}, ValueError, r"must be in \[0, 1\]. Received: values from 127.5 to 127.5"),
        ({"images": IMAGES - 1}, ValueError, r"must be in \[0, 1\]. Received: values from -0.5"),
        ({"images": IMAGES * np.nan}, ValueError, "corrupt: images must be finite"),
        (
            {"images": IMAGES.astype(int)},
            TypeError,
            "corrupt: images must be floating .* or uint8. Received: dtype int",
        ),
        ({"images": IMAGES.astype(object)}, TypeError, "Received: dtype object"),
        ({"images": [["a"]]}, TypeError, "Received: dtype str"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        corrupt(**{"images": IMAGES, "name": "fog", "severity": 1, **arguments})
