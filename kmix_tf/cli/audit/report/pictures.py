"""Images as PNG in a data URI, and mixtures that came nearest to another class."""

import base64
from typing import Any

import numpy as np
import tensorflow as tf

from kmix_tf.cli.audit.reading import Sample

_SIDE = 96


def is_images(x: np.ndarray) -> bool:
    """Whether samples look like images: grey `(n, height, width)`, or with 1 or 3 channels."""
    return min(x.shape[1:3], default=0) >= 4 and (x.ndim == 3 or (x.ndim == 4 and x.shape[-1] in (1, 3)))


def data_uri(image: np.ndarray) -> str:
    """uint8 `(height, width, 1 or 3)` as a PNG in the page itself."""
    return "data:image/png;base64," + base64.b64encode(tf.io.encode_png(image).numpy()).decode()


def offenders(sample: Sample, examples: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Strips of four: the two mixed, their mixture, and the sample of another class that it comes near to.

    Args:
        examples: of `intrusion`, with rows of the sample.

    Returns:
        For each: `images`, four of (data URI, caption), and `distance`.
    """
    if not is_images(sample.x):
        return []
    low, high = float(sample.x.min()), float(sample.x.max())
    strips = []
    for example in examples:
        first, second, near = (sample.x[example[name]].astype(np.float64) for name in ("first", "second", "sample"))
        ratio = example["ratio"]
        names = [sample.classes[sample.y[example[name]]] for name in ("first", "second", "sample")]
        shown = [
            (first, f"{names[0]}, {ratio:.0%}"),
            (second, f"{names[1]}, {1 - ratio:.0%}"),
            (ratio * first + (1 - ratio) * second, "mixture"),
            (near, f"near it: {names[2]}"),
        ]
        images = [(data_uri(_pixels(image, low, high)), caption) for image, caption in shown]
        strips.append({"images": images, "distance": example["distance"]})
    return strips


def _pixels(image: np.ndarray, low: float, high: float) -> np.ndarray:
    """uint8 `(height, width, channels)`, all images on one scale; large ones thinned out."""
    image = image if image.ndim == 3 else image[..., np.newaxis]
    step = max(1, max(image.shape[:2]) // _SIDE)
    scaled = (image[::step, ::step] - low) / ((high - low) or 1.0)
    return np.round(255 * scaled).astype(np.uint8)
