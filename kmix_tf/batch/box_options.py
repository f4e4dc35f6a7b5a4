"""What a layer is told of bounding boxes, and the formats in which their four numbers may be written."""

from typing import Any, NamedTuple

import tensorflow as tf

from kmix_tf import _checks

# As `keras.utils.bounding_boxes.convert_format` names them; relative ones are in units of the image's sides.
_ABSOLUTE = ("xyxy", "yxyx", "xywh", "center_xywh", "center_yxhw")
FORMATS = (*_ABSOLUTE, *(f"rel_{name}" for name in _ABSOLUTE))


class BoxOptions(NamedTuple):
    """How boxes are written and mixed: see `MixLayer`."""

    bounding_box_format: str | None = None
    box_visibility: float = 0.1
    box_weights: bool = False


def checked_box_options(bounding_box_format: Any, box_visibility: Any, box_weights: Any) -> BoxOptions:
    """The options, of which each is what it should be; formats in lower case.

    Raises:
        ValueError: for an unknown format, a part of an area outside [0, 1], or anything but True and False.
    """
    if bounding_box_format is not None:
        name = bounding_box_format.lower() if isinstance(bounding_box_format, str) else bounding_box_format
        bounding_box_format = _checks.choice("bounding_box_format", name, FORMATS)
    visibility = _checks.probability("box_visibility", box_visibility)
    return BoxOptions(bounding_box_format, visibility, _checks.flag("box_weights", box_weights))


def to_corners(boxes: tf.Tensor, box_format: str, sizes: tf.Tensor) -> tf.Tensor:
    """Boxes `(..., 4)` as left, top, right, bottom, in places of the image.

    Args:
        sizes: height and width of the image, of the boxes' dtype `(2,)`.
    """
    kind = box_format.removeprefix("rel_")
    first, second = boxes[..., :2], boxes[..., 2:]
    if kind.startswith("center"):
        first, second = first - second / 2, first + second / 2
    elif kind == "xywh":
        second = first + second
    corners = tf.concat([first, second], axis=-1)
    if _begins_with_y(kind):
        corners = tf.gather(corners, [1, 0, 3, 2], axis=-1)
    return corners * _units(box_format, sizes)


def from_corners(corners: tf.Tensor, box_format: str, sizes: tf.Tensor) -> tf.Tensor:
    """What `to_corners` was given."""
    kind = box_format.removeprefix("rel_")
    corners = corners / _units(box_format, sizes)
    if _begins_with_y(kind):
        corners = tf.gather(corners, [1, 0, 3, 2], axis=-1)
    first, second = corners[..., :2], corners[..., 2:]
    if kind.startswith("center"):
        first, second = (first + second) / 2, second - first
    elif kind == "xywh":
        second = second - first
    return tf.concat([first, second], axis=-1)


def _begins_with_y(kind: str) -> bool:
    return kind.removeprefix("center_").startswith("y")


def _units(box_format: str, sizes: tf.Tensor) -> tf.Tensor:
    is_relative = box_format.startswith("rel_")
    return tf.gather(sizes, [1, 0, 1, 0]) if is_relative else tf.ones([4], sizes.dtype)
