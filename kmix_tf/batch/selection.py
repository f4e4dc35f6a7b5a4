"""Naming leaves of nested features and targets: which are matched on, which are masks, which only ride along."""

from collections.abc import Iterable, Sequence
from typing import Any

from kmix_tf import _checks
from kmix_tf.batch.leaves import leaf_paths

# Their corners would be averaged as if they were pixels: no box of any object in the mixture.
_BOX_NAMES = {"bbox", "bboxes", "box", "boxes", "bounding_box", "bounding_boxes"}


def as_selectors(owner: str, argument: str, value: Any) -> tuple[str, ...]:
    """Makes None, one name or several a tuple of names; positions in tuples may be given as integers.

    A name is a key, or keys and positions joined by "/", and means all leaves below it: "meta", "meta/id", "0/id".
    """
    if value is None:
        return ()
    names = [value] if isinstance(value, (str, int)) else value
    is_sequence = isinstance(names, Iterable) and not isinstance(names, dict)
    if not is_sequence or not all(isinstance(name, (str, int)) and not isinstance(name, bool) for name in names):
        _checks.refuse(owner, argument, "a key such as 'id' or 'meta/id', or several of them", value, TypeError)
    return tuple(str(name) for name in names)


def is_selected(selectors: Sequence[str], path: tuple) -> bool:
    """Whether a leaf is meant by one of the names."""
    full = "/".join(map(str, path))
    return any(full == name or full.startswith(f"{name}/") for name in selectors)


def require_used(owner: str, argument: str, selectors: Sequence[str], *structures: Any) -> None:
    """Refuses names that mean nothing: a misspelt one would silently change nothing.

    Raises:
        ValueError: naming the leaves there are.
    """
    paths = [path for structure in structures if structure is not None for path, _ in leaf_paths(structure)]
    for name in selectors:
        if not any(is_selected([name], path) for path in paths):
            known = sorted({"/".join(map(str, path)) for path in paths if path})
            raise ValueError(
                f"{owner}: {argument} must name leaves of the batch. Received: {name!r}; there are {known}."
            )


def require_no_boxes(owner: str, structure: Any, passthrough: Sequence[str]) -> None:
    """Refuses what is named like bounding boxes, unless it rides along.

    Raises:
        ValueError: if there are any.
    """
    for path, _ in leaf_paths(structure):
        names = {str(key).lower() for key in path}
        if names & _BOX_NAMES and not is_selected(passthrough, path):
            raise ValueError(
                f"{owner}: bounding boxes cannot be mixed, for their average bounds no object. Received: "
                f"{'/'.join(map(str, path))!r}. Leave them out of the batch; or, if they should ride along unmixed "
                "although the image does not, name them in passthrough=."
            )
