"""Features and targets in one dictionary, as Keras' own layers take and give them.

layer({"images": x, "labels": y, "bounding_boxes": {...}, "segmentation_masks": m})
"""

from typing import Any

from kmix_tf import _checks

IMAGES = "images"
KEYS_OF_TARGETS = ("labels", "bounding_boxes", "segmentation_masks", "keypoints")


def is_one_dictionary(x: Any, passthrough: tuple[str, ...] = ()) -> bool:
    """Whether these features are images and targets, under Keras' names, with nothing else but what rides along.

    Any other dictionary holds features alone.
    """
    if not isinstance(x, dict) or IMAGES not in x or not any(key in x for key in KEYS_OF_TARGETS):
        return False
    return all(key == IMAGES or key in KEYS_OF_TARGETS or key in passthrough for key in x)


def taken_apart(x: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any], tuple[str, ...]]:
    """Features, targets, and the keys of both in their order."""
    features = {key: value for key, value in x.items() if key not in KEYS_OF_TARGETS}
    return features, {key: value for key, value in x.items() if key in KEYS_OF_TARGETS}, tuple(x)


def joined(x: dict[str, Any], y: dict[str, Any], sample_weight: Any, keys: tuple[str, ...]) -> dict[str, Any]:
    """The one dictionary again, with its keys in their order.

    Raises:
        ValueError: for weights of samples, for which it has no place.
    """
    if sample_weight is not None:
        raise _checks.problem(
            "weights of samples need a place of their own. Received: one dictionary of images and targets, and a "
            "weight or class_weight that makes them. Map the dataset to (x, y) first: "
            "dataset.map(lambda data: (data['images'], data['labels']))."
        )
    both = {**x, **y}
    return {key: both[key] for key in keys}
