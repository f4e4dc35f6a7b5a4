"""A batch's leaves as records, and how they are to be treated."""

from typing import Any, NamedTuple

from kmix_tf.batch.box_options import BoxOptions

FEATURES, TARGETS, WEIGHTS = PARTS = ("features", "targets", "sample_weight")
MIXED, MASK, KEPT, BOXES = "mixed", "mask", "kept", "boxes"


class Leaf(NamedTuple):
    """One tensor of a batch.

    part: "features", "targets" or "sample_weight". path: the keys and positions that lead to it. role: how it is read
    and mixed. name: in messages, such as `features['left'][0]`. tensor: `(batch, ...)`. about: what its role has to
    remember of it besides.
    """

    part: str
    path: tuple
    role: str
    name: str
    tensor: Any
    about: Any = None


class Rules(NamedTuple):
    """How the leaves of a batch are to be treated.

    num_classes: an integer, None, or a structure like the targets'. passthrough: names of leaves that ride along.
    masks: names of features that say which elements are there. packed: whether both targets of a mixture are kept.
    features_only: whether there may be no targets. class_weight: `ClassWeights` by which labels count, or None.
    boxes: what becomes of bounding boxes.
    """

    num_classes: Any = None
    passthrough: tuple[str, ...] = ()
    masks: tuple[str, ...] = ()
    packed: bool = False
    features_only: bool = False
    class_weight: Any = None
    boxes: BoxOptions = BoxOptions()
