"""Which features are images, for what cuts them, pastes them or asks where they are salient."""

import warnings
from collections.abc import Sequence

import tensorflow as tf

from kmix_tf import _checks


def image_of(features: Sequence[tf.Tensor], axes: int) -> tf.Tensor:
    """The image among the features: the first leaf with so many axes after the batch's, 1 to 3.

    Raises:
        ValueError: if there is none.
    """
    (images,) = those(have_axes(features, axes), features)
    shapes = [str(leaf.shape) for leaf in features]
    if not images and any(leaf.shape.rank is None for leaf in features):
        raise _checks.problem(
            f"features must have a known number of axes: see tf.ensure_shape. Received: shapes {shapes}."
        )
    if not images:
        raise _checks.problem(
            f"features must have {axes} axes after the batch's, as images have; axes=1 is for signals, and tables "
            f"are for KMixupLayer. Received: features of shapes {shapes}."
        )
    return images[0]


def warn_of_channels_first(features: Sequence[tf.Tensor]) -> None:
    """An axis of 1 or 3, and then two long ones: no height, most likely."""
    for shape in (leaf.shape for leaf in features):
        if shape.rank == 4 and shape[1] in (1, 3) and min(shape[2] or 0, shape[3] or 0) > 4:
            warnings.warn(
                f"{_checks.speaker()}: features of shape {shape} look like images with channels first. Axes 1 and 2 "
                "are taken for height and width: transpose images to (batch, height, width, channels).",
                stacklevel=2,
            )


def have_axes(features: Sequence[tf.Tensor], axes: int) -> list[bool]:
    """Which leaves have so many axes after the batch's."""
    return [leaf.shape.rank is not None and leaf.shape.rank > axes for leaf in features]


def those(chosen: Sequence[bool], *sides: Sequence[tf.Tensor]) -> list[list[tf.Tensor]]:
    """The chosen leaves of each list."""
    return [[leaf for leaf, use in zip(side, chosen, strict=True) if use] for side in sides]


def joined(chosen: Sequence[bool], those_chosen: Sequence[tf.Tensor], others: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    """The leaves in order again, of those that were chosen and of the others."""
    parts = iter(others), iter(those_chosen)
    return [next(parts[use]) for use in chosen]


def has_places_of(leaf: tf.Tensor, image: tf.Tensor, axes: int) -> bool:
    """Whether a leaf has a value for each place of the image."""
    if leaf.shape.rank is None or leaf.shape.rank <= axes:
        return False
    return leaf.shape[1 : 1 + axes].is_compatible_with(image.shape[1 : 1 + axes])
