"""Bounding boxes with their classes: which leaves they are, and how they are read.

A group of boxes is a dictionary, as Keras, KerasCV and TFDS have it:

    {"boxes": (batch, n, 4), "labels": (batch, n)}

"classes" for "labels" in KerasCV; "bbox" and "label" below "objects" in TFDS; with what else each object has, such as
its weight. Of an image without so many objects, the rest is padding, which is known by its class alone: -1.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._graph import after, require_all, require_valid
from kmix_tf._paths import is_selected, leaf_name, leaves_of
from kmix_tf.batch.box_options import BoxOptions
from kmix_tf.batch.geometry import set_of
from kmix_tf.batch.leaf import BOXES, PARTS, Leaf, Rules

# What a leaf of a group is.
CORNERS, CLASSES, SHARE, OTHER = "corners", "classes", "share", "other"
SHARE_KEY = "box_weights"

_CORNERS = ("boxes", "bbox", "bboxes")
_CLASSES = ("labels", "classes", "label")
_SHARES = (SHARE_KEY, "weights")
# What else data sets say of each object. Below "bounding_boxes" and "objects", everything is of objects.
_OF_OBJECTS = set_of(
    "confidence confidences score scores is_crowd iscrowd area id ids track_id track_ids difficult is_difficult "
    "truncated is_truncated occluded is_occluded is_group_of is_depiction is_inside pose ignore keypoints"
)
_CONTAINERS = ("bounding_boxes", "objects")


class BoxLeaf(NamedTuple):
    """What a leaf is in its group. group: the part and the keys that lead to it. key: its own.

    kind: "corners" `(batch, n, 4)`, "classes" `(batch, n)` or `(batch, n, classes)`, "share" `(batch, n)`, what each
    counts, or "other" `(batch, n, ...)`. options: of the layer.
    """

    group: tuple[str, tuple]
    key: Any
    kind: str
    options: BoxOptions


def boxes_among(places: Sequence[tuple[str, tuple]], passthrough: Sequence[str] = ()) -> set[int]:
    """Which leaves, of these parts and paths, belong to groups of boxes; none that rides along does."""
    below: dict[tuple[str, tuple], list[int]] = {}
    for at, (part, path) in enumerate(places):
        if not (passthrough and is_selected(passthrough, path)):
            for depth in range(len(path)):
                below.setdefault((part, path[:depth]), []).append(at)
    found: set[int] = set()
    for (_, parent), members in below.items():
        if all(len(places[at][1]) == len(parent) + 1 for at in members):
            found.update(members if _is_group([places[at][1][-1] for at in members], parent) else ())
    return found


def _is_group(keys: Sequence[Any], parent: tuple) -> bool:
    """Whether these keys of a dictionary are those of boxes with their classes."""
    found = [[key for key in keys if key in names] for names in (_CORNERS, _CLASSES)]
    if [len(each) for each in found] != [1, 1]:
        return False
    if parent and parent[-1] in _CONTAINERS:
        return True
    # Elsewhere, a dictionary may hold anything: a label of the image besides its boxes, say.
    others = set(keys) - {found[0][0], found[1][0]}
    return found[0][0] == "boxes" and found[1][0] != "label" and others <= {*_SHARES, *_OF_OBJECTS}


def read_boxes(leaves: list[Leaf], structure: tuple[Any, ...], rules: Rules) -> tuple[list[Leaf], tuple[Any, ...]]:
    """The leaves with all boxes dense and checked, and the structure; both with what each box counts, if asked for.

    Raises:
        ValueError: for leaves that do not fit each other. TypeError: for such as are no numbers.
        InvalidArgumentError: on the batch, for what shapes do not show.
    """
    groups: dict[tuple[str, tuple], list[Leaf]] = {}
    for leaf in leaves:
        if leaf.role == BOXES:
            groups.setdefault((leaf.part, leaf.path[:-1]), []).append(leaf)
    made = {(leaf.part, leaf.path): leaf for leaf in leaves}
    parts = dict(zip(PARTS, structure, strict=True))
    for (part, parent), members in groups.items():
        read = _read_group((part, parent), members, rules.boxes)
        if len(read) > len(members):
            parts[part] = _with_key(parts[part], parent, read[-1].path[-1])
        made.update({(leaf.part, leaf.path): leaf for leaf in read})
    order = leaves_of(parts.items())
    return [made[part, path] for part, path, *_ in order], tuple(parts.values())


def _with_key(structure: Any, parent: tuple, key: str) -> Any:
    """The structure, of which the dictionary at a path has one key more."""
    if not parent:
        return {**structure, key: None}
    if isinstance(structure, dict):
        return {**structure, parent[0]: _with_key(structure[parent[0]], parent[1:], key)}
    parts = [_with_key(each, parent[1:], key) if at == parent[0] else each for at, each in enumerate(structure)]
    return type(structure)(*parts) if hasattr(structure, "_fields") else type(structure)(parts)


def _read_group(group: tuple[str, tuple], members: Sequence[Leaf], options: BoxOptions) -> list[Leaf]:
    kinds = [_kind(leaf.path[-1]) for leaf in members]
    corners, classes = (members[kinds.index(kind)] for kind in (CORNERS, CLASSES))
    checks = [check for leaf in members for check in _are_as_long(corners, leaf)]
    checked = after(require_all(checks), [_dense(leaf, kind) for leaf, kind in zip(members, kinds, strict=True)])
    tensors = [_converted(leaf.name, *each) for leaf, *each in zip(members, checked, kinds, strict=True)]
    boxes, labels = (tensors[kinds.index(kind)] for kind in (CORNERS, CLASSES))
    _require_layout(corners.name, boxes, classes.name, labels)
    tensors = _as_many(members, tensors, boxes)
    leaves = [
        leaf._replace(tensor=tensor, about=BoxLeaf(group, leaf.path[-1], kind, options))
        for leaf, tensor, kind in zip(members, tensors, kinds, strict=True)
    ]
    return leaves if not options.box_weights else _weighed(leaves, labels, group, options)


def _kind(key: Any) -> str:
    for kind, names in ((CORNERS, _CORNERS), (CLASSES, _CLASSES), (SHARE, _SHARES)):
        if key in names:
            return kind
    return OTHER


def _are_as_long(corners: Leaf, leaf: Leaf) -> list[tuple[tf.Tensor, str]]:
    """What is to hold for ragged leaves to have a value for each box of each image, and four numbers for each box."""
    are_ragged = [isinstance(each.tensor, tf.RaggedTensor) for each in (corners, leaf)]
    received = (
        f"Received: {corners.name} of shape {corners.tensor.shape} and {leaf.name} of shape {leaf.tensor.shape}"
    )
    if are_ragged[0] != are_ragged[1]:
        raise _checks.problem(f"boxes and what belongs to them must all be ragged, or all dense. {received}.")
    if not are_ragged[0]:
        return []
    if leaf is not corners:
        # As text, for numbers of rows that differ cannot be compared row by row.
        lengths = [
            tf.strings.reduce_join(tf.strings.as_string(each.tensor.row_lengths()), separator=" ")
            for each in (corners, leaf)
        ]
        message = (
            f"each box must have a class, and whatever else boxes have. {received}, of other lengths in a batch."
        )
        return [(tf.equal(*lengths), message)]
    if leaf.tensor.shape[-1] not in (None, 4) or not isinstance(leaf.tensor.values, tf.RaggedTensor):
        return []
    message = f"boxes must have four numbers each. Received: others in {leaf.name}."
    return [(tf.reduce_all(leaf.tensor.values.row_lengths() == 4), message)]


def _dense(leaf: Leaf, kind: str) -> tf.Tensor:
    """A leaf with as many boxes for each image; padding is of class -1, and 0 else, as in Keras."""
    tensor = leaf.tensor
    if isinstance(tensor, tf.SparseTensor):
        raise _checks.problem(
            f"{leaf.name} must be dense or ragged. Received: a SparseTensor. Densify it with tf.sparse.to_dense().",
            TypeError,
        )
    if not isinstance(tensor, tf.RaggedTensor):
        return tensor
    if kind == CLASSES:
        return _signed(tensor).to_tensor(-1)
    # Of images without any boxes, the last axis is not seen.
    is_open = kind == CORNERS and tensor.shape.rank == 3 and tensor.shape[-1] is None
    return tensor.to_tensor("" if tensor.dtype == tf.string else 0, shape=[None, None, 4] if is_open else None)


def _signed(labels: Any) -> Any:
    """Labels that can be -1."""
    if not labels.dtype.is_unsigned:
        return labels
    return tf.cast(labels, tf.int32 if labels.dtype.size < 4 else tf.int64)


def _converted(name: str, tensor: tf.Tensor, kind: str) -> tf.Tensor:
    """Boxes and what they count as floats, classes that can be -1."""
    if kind == OTHER:
        return tensor
    is_number = tensor.dtype.is_floating or tensor.dtype.is_integer
    if not is_number:
        raise _checks.problem(
            f"boxes, their classes and weights must be numbers. Received: {name} of dtype {tensor.dtype.name}.",
            TypeError,
        )
    if kind == CLASSES:
        return _signed(tensor)
    tensor = tensor if tensor.dtype.is_floating else tf.cast(tensor, tf.float32)
    checks = [(tf.reduce_all(tf.math.is_finite(tensor)), f"{name} must be finite. Received: NaN or infinite values.")]
    if kind == SHARE:
        checks.append((tf.reduce_all(tensor >= 0), f"{name} must be >= 0. Received: negative weights of boxes."))
    return after(require_valid(checks), [tensor])[0]


def _require_layout(corners: str, boxes: tf.Tensor, classes: str, labels: tf.Tensor) -> None:
    fits = labels.shape.rank in (2, 3) and boxes.shape[:2].is_compatible_with(labels.shape[:2])
    if boxes.shape.rank != 3 or boxes.shape[-1] != 4 or not fits:
        raise _checks.problem(
            "boxes must be (batch, n, 4), and their classes (batch, n), -1 where there is none. "
            f"Received: {corners} of shape {boxes.shape} and {classes} of shape {labels.shape}. "
            "If shapes are open, see tf.ensure_shape."
        )


def _as_many(members: Sequence[Leaf], tensors: Sequence[tf.Tensor], boxes: tf.Tensor) -> list[tf.Tensor]:
    """The tensors, of which each is seen to have as many entries as there are boxes."""
    checks = []
    for leaf, tensor in zip(members, tensors, strict=True):
        message = (
            "what belongs to boxes must be (batch, n, ...), as they are. "
            f"Received: {leaf.name} of shape {tensor.shape} with boxes of shape {boxes.shape}. Name it in "
            "passthrough= if it is of the image."
        )
        if (
            tensor.shape.rank is None
            or tensor.shape.rank < 2
            or not tensor.shape[:2].is_compatible_with(boxes.shape[:2])
        ):
            raise _checks.problem(message)
        if tensor is not boxes and not (tensor.shape[:2].is_fully_defined() and boxes.shape[:2].is_fully_defined()):
            checks.append((tf.reduce_all(tf.shape(tensor)[:2] == tf.shape(boxes)[:2]), message))
    return after(require_all(checks), list(tensors))


def _weighed(leaves: list[Leaf], labels: tf.Tensor, group: tuple[str, tuple], options: BoxOptions) -> list[Leaf]:
    """The leaves, with what each box counts: 0 for padding; 1 for others, or what came."""
    there = tf.cast(are_there(labels), tf.float32)
    shares = [at for at, leaf in enumerate(leaves) if leaf.about.kind == SHARE]
    for at in shares:
        tensor = leaves[at].tensor
        leaves[at] = leaves[at]._replace(tensor=tensor * tf.cast(tf.reshape(there, tf.shape(tensor)), tensor.dtype))
    if shares:
        return leaves
    part, parent = group
    path = (*parent, SHARE_KEY)
    about = BoxLeaf(group, SHARE_KEY, SHARE, options)
    return [*leaves, Leaf(part, path, BOXES, leaf_name(part, path), there, about)]


def are_there(labels: tf.Tensor) -> tf.Tensor:
    """Which objects are there, and no padding: bool `(batch, n)`. Classes may have an axis, too."""
    if labels.shape.rank == 2:
        return labels >= 0
    return tf.reduce_any(labels >= 0 if labels.shape[-1] == 1 else labels > 0, axis=-1)
