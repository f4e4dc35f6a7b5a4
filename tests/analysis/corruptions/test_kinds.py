"""Each corruption against what it is said to be, by another way of computing it."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import ndimage
from scipy.stats import kstest, norm

from kmix_tf.analysis.corruptions import corrupt
from kmix_tf.analysis.corruptions.blurs import disk
from kmix_tf.analysis.corruptions.digital import jpeg, pixelate
from kmix_tf.analysis.corruptions.light import fields

GREY = np.full((40, 32, 32, 3), 0.5)


@pytest.mark.parametrize(("severity", "scale"), [(1, 0.04), (3, 0.08), (5, 0.1)])
def test_gaussian_noise_is_normal_of_its_level(severity, scale):
    noise = (corrupt(GREY, "gaussian_noise", severity, seed=1) - 0.5) / scale
    # It is nowhere clipped: 0.5 is five standard deviations at least. Fails for one seed in 10^4.
    assert kstest(noise.ravel()[::7], "norm").pvalue > 1e-4
    assert abs(noise.std() - 1) < 3.9 / np.sqrt(2 * noise.size)


@pytest.mark.parametrize(("severity", "photons"), [(1, 500), (5, 50)])
def test_shot_noise_has_a_variance_that_grows_with_the_light(severity, photons):
    for light in (0.1, 0.5):
        values = corrupt(np.full_like(GREY, light), "shot_noise", severity, seed=2)
        variance, size = light / photons, values.size
        # Counts are whole. 4.5 standard errors are exceeded once in 10^5, of which there are eight here.
        np.testing.assert_allclose(values * photons, np.rint(values * photons), atol=1e-4)
        assert abs(values.mean() - light) < 4.5 * np.sqrt(variance / size)
        kurtosis = 3 + 1 / (light * photons)
        assert abs(values.var() / variance - 1) < 4.5 * np.sqrt((kurtosis - 1) / size)


@pytest.mark.parametrize(("severity", "share"), [(1, 0.01), (5, 0.07)])
def test_impulse_noise_makes_its_share_black_and_white(severity, share):
    ours = corrupt(GREY, "impulse_noise", severity, seed=3)
    assert set(np.unique(ours)) == {0, 0.5, 1}
    for value in (0, 1):
        # Binomial: 4.5 standard deviations are exceeded once in 10^5, of which there are four here.
        error = np.sqrt(share / 2 * (1 - share / 2) / ours.size)
        assert abs((ours == value).mean() - share / 2) < 4.5 * error


def impulse(side=33):
    image = np.zeros((1, side, side, 1))
    image[0, side // 2, side // 2] = 1
    return image


@pytest.mark.parametrize(("severity", "width"), [(3, 0.7), (5, 1.0)])
def test_gaussian_blur_spreads_a_point_as_the_normal_density(severity, width):
    ours = corrupt(impulse(), "gaussian_blur", severity)[0, :, :, 0]
    # Lengths grow with the side: 33 pixels for CIFAR's 32.
    density = norm.pdf(np.arange(-16, 17), scale=width * 33 / 32)
    density /= density.sum()
    # SciPy cuts the tails off beyond four standard deviations.
    np.testing.assert_allclose(ours, np.outer(density, density), atol=1e-4)


@pytest.mark.parametrize("radius", (0.5, 1.0, 2.3, 7.0))
def test_a_disk_covers_its_area_and_is_cut_at_its_rim(radius):
    kernel = disk(radius)
    assert kernel.sum() == pytest.approx(1) and len(kernel) % 2
    np.testing.assert_array_equal(kernel, kernel.T[::-1])
    reach = len(kernel) // 2
    # Its second moment along an axis: that of the disk's chords, each part counted at the middle of its pixel.
    moment = np.square(np.arange(-reach, reach + 1)) @ kernel.sum(axis=1)
    parts = np.linspace(-0.5 - reach, 0.5 + reach, 4001)
    chord = 2 * np.sqrt(np.maximum(radius**2 - parts**2, 0))
    expected = (np.square(np.rint(parts)) * chord).sum() / chord.sum()
    assert moment == pytest.approx(expected, rel=0.03, abs=1e-12)
    assert kernel[reach, reach] == pytest.approx(min(1, 1 / (np.pi * radius**2)), rel=0.03 if radius > 1 else 0.3)


def test_defocus_is_the_convolution_with_a_disk(photographs):
    images = photographs(32)[:4]
    expected = ndimage.convolve(images, disk(1.5)[np.newaxis, :, :, np.newaxis], mode="nearest")
    np.testing.assert_allclose(corrupt(images, "defocus_blur", 4), expected, atol=1e-12)


def test_motion_spreads_a_point_along_a_line_within_45_degrees_of_level():
    images = np.repeat(impulse(), 300, axis=0)
    spread = corrupt(images, "motion_blur", 5, seed=1)[..., 0]
    places = np.arange(-16, 17)
    down, right = np.meshgrid(places, places, indexing="ij")
    np.testing.assert_allclose(spread.sum(axis=(1, 2)), 1, atol=1e-6)
    yy, xx, xy = ((spread * moment).sum(axis=(1, 2)) for moment in (down**2, right**2, down * right))
    # Interpolating between rows of distance 1 adds at most 1/4 across the line.
    angle = np.arctan2(xy, xx)
    across = yy * np.cos(angle) ** 2 + xx * np.sin(angle) ** 2 - 2 * xy * np.sin(angle) * np.cos(angle)
    along = yy + xx - across
    assert across.max() < 0.25 and along.min() > 3
    np.testing.assert_allclose(along, (2.0 * 33 / 32) ** 2, rtol=0.12)
    # Kolmogorov and Smirnov: fails for one seed in 10^4.
    assert kstest(angle, "uniform", args=(-np.pi / 4, np.pi / 2)).pvalue > 1e-4


@pytest.mark.parametrize("name", ("gaussian_blur", "defocus_blur", "motion_blur", "pixelate", "contrast"))
def test_blur_leaves_what_is_flat_and_nearly_the_mean(name, photographs):
    np.testing.assert_allclose(corrupt(GREY[:3], name, 5), 0.5, atol=1e-12)
    images = photographs(32)
    # Edges count a little more or less.
    assert abs(corrupt(images, name, 2).mean() - images.mean()) < 0.002


def test_lengths_grow_with_large_images():
    # Of four times the side, four times the length: the image of a step, seen from further away.
    small, large = np.zeros((1, 32, 32, 1)), np.zeros((1, 128, 128, 1))
    small[:, :, 16:], large[:, :, 64:] = 1, 1
    shrunk = corrupt(large, "gaussian_blur", 5).reshape(1, 32, 4, 32, 4, 1).mean(axis=(2, 4))
    np.testing.assert_allclose(shrunk, corrupt(small, "gaussian_blur", 5), atol=0.02)


def test_contrast_and_brightness_are_their_formulas(photographs):
    images = photographs(16)
    mean = images.mean(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(corrupt(images, "contrast", 2), (images + mean) / 2, atol=1e-12)
    np.testing.assert_allclose(corrupt(images, "brightness", 5), np.minimum(images + 0.3, 1), atol=1e-12)


def test_fog_is_a_share_of_clouds_and_the_rest_of_the_image(photographs):
    images = photographs(16)
    largest = images.max(axis=(1, 2, 3), keepdims=True)
    for severity, density in ((1, 0.2), (5, 1.5)):
        ours, share = corrupt(images, "fog", severity, seed=1), density / (largest + density)
        clouds = (ours - (1 - share) * images) / (share * largest)
        # One field for all channels, from 0 to 1, the same at all severities.
        np.testing.assert_allclose(clouds, fields((60, 16, 16), 1)[..., np.newaxis].repeat(3, axis=3), atol=1e-9)


def test_clouds_are_smooth_random_fields_from_0_to_1():
    clouds = fields((50, 24, 32), 1)
    np.testing.assert_allclose([clouds.min(axis=(1, 2)), clouds.max(axis=(1, 2))], [[0] * 50, [1] * 50], atol=1e-12)
    # Of independent values, neighbours differ by sqrt(2) standard deviations; and by as much far apart.
    near = np.diff(clouds, axis=2).std() / clouds.std()
    far = (clouds[:, :, 16:] - clouds[:, :, :16]).std() / clouds.std()
    assert near < 0.5 < 1 < far


@pytest.mark.parametrize("shape", [(12, 12), (8, 12)])
def test_squares_of_whole_pixels_are_their_means(shape, photographs):
    images = photographs(16)[:, : shape[0], : shape[1]]
    means = images.reshape(60, shape[0] // 4, 4, shape[1] // 4, 4, 3).mean(axis=(2, 4))
    np.testing.assert_allclose(pixelate(images, 4.0, 0), means.repeat(4, axis=1).repeat(4, axis=2), atol=1e-12)


def test_squares_of_parts_of_pixels_are_those_of_the_image_enlarged(photographs):
    images = photographs(16)[:5, :9, :11]
    fine = images.repeat(2, axis=1).repeat(2, axis=2)
    # Of 1.5 pixels, 3 halves; the last square may be a part.
    blocks = fine.copy()
    for top in range(0, 18, 3):
        for left in range(0, 22, 3):
            square = (slice(None), slice(top, top + 3), slice(left, left + 3))
            blocks[square] = fine[square].mean(axis=(1, 2), keepdims=True)
    expected = blocks.reshape(5, 9, 2, 11, 2, 3).mean(axis=(2, 4))
    np.testing.assert_allclose(pixelate(images, 1.5, 0), expected, atol=1e-12)


@pytest.mark.parametrize("quality", (80, 50, 40, 10))
@pytest.mark.parametrize("channels", (1, 3))
def test_jpeg_is_what_the_library_decodes(quality, channels, photographs):
    """libjpeg by TensorFlow: the same but for ties of rounding, which fall otherwise in its integer arithmetic."""
    for side in (64, 16):
        images = np.rint(255 * photographs(side, channels)[::7, :, : side - 3]).astype(np.uint8)
        stored = [tf.io.encode_jpeg(image, quality=quality, chroma_downsampling=False) for image in images]
        theirs = np.stack([tf.io.decode_jpeg(each, dct_method="INTEGER_ACCURATE") for each in stored]).astype(float)
        ours = np.rint(255 * np.clip(jpeg(images / 255, quality, 0), 0, 1))
        # Measured: 0.001 to 0.06 of what is lost.
        assert np.abs(ours - theirs).mean() < 0.1 * np.abs(theirs - images).mean()
