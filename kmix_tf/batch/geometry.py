"""Bounding boxes, key points and outlines, which are known by their names alone.

Their corners would be averaged as if they were pixels: no box of any object in the mixture. Names are judged by whole
words, `gt_boxes` and `gtBoxes` but not `mailbox`, since nothing else tells four corners from four measurements.
"""

import itertools
import re
from collections.abc import Sequence
from typing import Any

from kmix_tf import _checks


def set_of(words: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(words.split())


# What data sets call them: COCO, Pascal VOC, TFDS, KerasCV, torchvision, TensorFlow's model garden, aerial images.
# "anchor" is an image in metric learning, "roi" one in medicine, "segmentation" a map, "joint" one of a robot.
_BOXES = (
    "box boxes bbox bboxes bndbox bndboxes gtbox gtboxes gtbbox gtbboxes rbox rboxes rbbox rbboxes hbb hbbs obb obbs "
    "cuboid cuboids rois xyxy xywh yxyx yxhw xyah ltrb ltwh tlbr tlwh cxcywh cxcywha xywha xywhr x1y1x2y2"
)
_POINTS = "keypoint keypoints kpt kpts kps keypt keypts landmark landmarks"
_OUTLINES = "polygon polygons polyline polylines"
_KINDS = {
    word: kind
    for kind, words in (("bounding boxes", _BOXES), ("key points", _POINTS), ("outlines", _OUTLINES))
    for word in words.split()
}

# What comes last says what it is: a box's image or embedding can be mixed, the boxes of an image cannot. What belongs
# to each object, such as its score, cannot be, either: objects come in no order.
_PICTURES = set_of(
    "heatmap heatmaps image images img crop crops patch patches pixels embedding embeddings feature features"
)
# Other boxes than those of objects, and how many of them there are.
_OTHERS = set_of("check mail tool black combo message office cox plot plots num number count counts total")
# With these, one number for each sample says something else of them.
_ABOUT = set_of(
    "n nr has is id ids idx index class label type category kind name price cost weight volume color colour size sold"
)
# What a mix can do with them.
LAYOUT = "{'bounding_boxes': {'boxes': (batch, n, 4), 'labels': (batch, n)}}"
_INSTEAD = {
    "bounding boxes": f"With their classes, as {LAYOUT}, a mixture has the boxes of both samples. ",
    "key points": f"Of objects with boxes, a mixture has those of both: 'keypoints' (batch, n, ...) in {LAYOUT}. ",
    "outlines": "",
}


def require_no_geometry(path: Sequence[Any], leaf: Any, can_be_joined: bool = False) -> None:
    """Refuses a leaf whose name says that it is geometry.

    Args:
        path: the keys and positions that lead to it. leaf: it may be ragged, or of any kind. can_be_joined: whether
            a mixture could have that of both samples, in another layout.

    Raises:
        ValueError: naming the ways out.
    """
    is_single = _is_single(getattr(leaf, "shape", None))
    for key in path:
        word = geometric_word(str(key), is_single)
        if word is not None:
            instead = _INSTEAD[_KINDS[word]] if can_be_joined else ""
            raise _checks.problem(
                f"{_KINDS[word]} cannot be mixed: the average of two objects' is no object's. Received: "
                f"{'/'.join(map(str, path))!r}. {instead}Leave them out of the batch; or name them in passthrough=, "
                "if they should come back as they are although the image is mixed. If it is something that can be "
                f"averaged, give it a name without the word {word!r}."
            )


def geometric_word(name: str, is_single: bool = False) -> str | None:
    """The word of a name that says that it is geometry; None if none does.

    Args:
        is_single: whether there is one number for each sample.
    """
    words = _words(name)
    found = [at for at, word in enumerate(words) if word in _KINDS]
    if not found or not _OTHERS.isdisjoint(words) or (is_single and not _ABOUT.isdisjoint(words)):
        return None
    return None if not _PICTURES.isdisjoint(words[found[-1] :]) else words[found[-1]]


def _words(name: str) -> list[str]:
    """The words of `gt_boxes`, `gtBoxes` and `GT-boxes2d`, in lower case. "key points" are one word."""
    words: list[str] = []
    for chunk in re.findall(r"[^\W_]+", name):
        parts = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", chunk)
        words += [chunk.lower()] if chunk.lower() in _KINDS else [part.lower() for part in parts]
    # "key points" and "keypoints" are both written.
    pairs = [first + second for first, second in itertools.pairwise(words) if first == "key"]
    return pairs + words


def _is_single(shape: Any) -> bool:
    """Whether there is one number for each sample: `(batch,)` or `(batch, 1)`."""
    sizes = None if shape is None or getattr(shape, "rank", 0) is None else list(shape)
    return sizes is not None and len(sizes) in (1, 2) and sizes[1:] in ([], [1])
