"""One function for all corruptions, in five severities each."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from kmix_tf import _checks
from kmix_tf.analysis.corruptions import blurs, digital, light, noises
from kmix_tf.maths.samples import require_finite
from kmix_tf.seeding import checked_seed

# The least side of an image, and that up to which lengths are CIFAR's, in pixels.
_LEAST_SIDE, _CIFAR_SIDE = 8, 32


class _Corruption(NamedTuple):
    """A function (images, level, seed), its levels by severity, and whether these are lengths in pixels."""

    function: Callable[[np.ndarray, float, int], np.ndarray]
    levels: tuple[float, ...]
    is_length: bool = False


# Levels are those of CIFAR-10-C, but for what it makes otherwise: defocus, motion and pixelate.
_CORRUPTIONS = {
    "gaussian_noise": _Corruption(noises.gaussian_noise, (0.04, 0.06, 0.08, 0.09, 0.1)),
    "shot_noise": _Corruption(noises.shot_noise, (500, 250, 100, 75, 50)),
    "impulse_noise": _Corruption(noises.impulse_noise, (0.01, 0.02, 0.03, 0.05, 0.07)),
    "gaussian_blur": _Corruption(blurs.gaussian_blur, (0.4, 0.6, 0.7, 0.8, 1.0), is_length=True),
    "defocus_blur": _Corruption(blurs.defocus_blur, (0.75, 1.0, 1.25, 1.5, 2.0), is_length=True),
    "motion_blur": _Corruption(blurs.motion_blur, (0.6, 0.9, 1.2, 1.5, 2.0), is_length=True),
    "fog": _Corruption(light.fog, (0.2, 0.5, 0.75, 1.0, 1.5)),
    "brightness": _Corruption(light.brightness, (0.05, 0.1, 0.15, 0.2, 0.3)),
    "contrast": _Corruption(light.contrast, (0.75, 0.5, 0.4, 0.3, 0.15)),
    "pixelate": _Corruption(digital.pixelate, (1.2, 1.4, 1.6, 1.8, 2.0), is_length=True),
    "jpeg": _Corruption(digital.jpeg, (80, 65, 58, 50, 40)),
}


def corruptions() -> tuple[str, ...]:
    """The names that `corrupt` takes.

    Example:
        >>> from kmix_tf.analysis import corruptions
        >>> corruptions()[:3]
        ('gaussian_noise', 'shot_noise', 'impulse_noise')
    """
    return tuple(_CORRUPTIONS)


@_checks.speaks
def corrupt(images: Any, name: str, severity: int, seed: int = 0) -> np.ndarray:
    """Corrupts images in one of the ways that photographs go wrong, to measure what a model makes of them.

    Args:
        images: `(n, height, width, channels)`, n >= 1, sides of 8 at least, an array or a tensor: floating in [0, 1],
            or uint8. 3 channels are red, green and blue to "jpeg"; all others treat channels alike.
        name: one of `corruptions()`. Noise: "gaussian_noise", "shot_noise" (Poisson), "impulse_noise" (black and
            white). Blur: "gaussian_blur", "defocus_blur" (a disk), "motion_blur" (a line, each image's own within 45
            degrees of level). Light: "fog" (smooth random clouds), "brightness", "contrast". Digital: "pixelate",
            "jpeg" (in full resolution of colours).
        severity: 1, 2, 3, 4 or 5.
        seed: an integer in [0, 2^31). What is random is a function of it and of the image's place, and the same at
            all severities. Corrupt a data set as a whole, or give each batch its own seed.

    Returns:
        An array of the images' shape and dtype, in their range. Values of uint8 are rounded.

    Raises:
        TypeError: for other dtypes. ValueError: for other arguments, or floating images outside [0, 1].

    Source: Hendrycks and Dietterich 2019; On Mixup Regularization, Figures 5 and 6, tests on their CIFAR-10-C. Levels
    are CIFAR-10-C's, but for defocus, motion and pixelate, which are made otherwise here, as is fog; lengths are in
    pixels, and grow with the smaller side from 32 on. Snow, frost, glass, zoom and elastic are left out. So compare
    errors on these with one another, not with those on CIFAR-10-C.

    Example:
        >>> from kmix_tf.analysis import corrupt
        >>> images = np.full([4, 8, 8, 3], 0.5, np.float32)
        >>> corrupt(images, "brightness", severity=2)[0, 0, 0].round(3).tolist()
        [0.6000000238418579, 0.6000000238418579, 0.6000000238418579]
    """
    name, severity = _checks.choice("name", name, corruptions()), _checks.integer("severity", severity, minimum=1)
    if severity > 5:
        _checks.refuse("severity", "1, 2, 3, 4 or 5", severity)
    seed, given = checked_seed(seed), np.asarray(images)
    floats = _floats(given)
    corruption = _CORRUPTIONS[name]
    unit = max(1.0, min(given.shape[1:3]) / _CIFAR_SIDE) if corruption.is_length else 1.0
    changed = np.clip(corruption.function(floats, unit * corruption.levels[severity - 1], seed), 0, 1)
    return (np.rint(255 * changed) if given.dtype == np.uint8 else changed).astype(given.dtype)


def _floats(images: np.ndarray) -> np.ndarray:
    """Images in [0, 1], in float32 or float64.

    Raises:
        TypeError, ValueError: for what `corrupt` refuses.
    """
    name = images.dtype.name
    if name != "uint8" and not (images.dtype.kind in "fV" and tf.as_dtype(images.dtype).is_floating):
        raise _checks.problem(f"images must be floating in [0, 1] or uint8. Received: dtype {name}.", TypeError)
    if images.ndim != 4 or 0 in images.shape or min(images.shape[1:3]) < _LEAST_SIDE:
        raise _checks.problem(
            f"images must be (n, height, width, channels), of sides of {_LEAST_SIDE} at least; of grey ones "
            f"images[..., np.newaxis]. Received: shape {images.shape}."
        )
    if name == "uint8":
        return images.astype(np.float32) / 255
    images = images.astype(np.float64 if name == "float64" else np.float32)
    require_finite("images", images)
    if images.min() < 0 or images.max() > 1:
        raise _checks.problem(
            f"floating images must be in [0, 1]. Received: values from {images.min():g} to {images.max():g}."
        )
    return images
