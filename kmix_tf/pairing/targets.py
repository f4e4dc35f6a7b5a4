"""Which of the targets a pairing goes by."""

from collections.abc import Sequence
from typing import Any

from kmix_tf._paths import is_selected, leaf_paths, require_used
from kmix_tf.batch.boxes import boxes_among
from kmix_tf.batch.leaf import TARGETS


def target_leaves(targets: Any, selectors: Sequence[str]) -> list[Any]:
    """The targets of these names; without names all but bounding boxes with their classes, if there are others.

    Raises:
        ValueError: for names that mean nothing.
    """
    leaves = list(leaf_paths(targets))
    if selectors:
        require_used("target", selectors, targets)
        return [leaf for path, leaf in leaves if is_selected(selectors, path)]
    boxes = boxes_among([(TARGETS, path) for path, _ in leaves])
    return [leaf for at, (_, leaf) in enumerate(leaves) if at not in boxes or len(boxes) == len(leaves)]
