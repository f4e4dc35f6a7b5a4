"""Nested features and targets: the paths to their leaves, the leaves' names in messages, and naming leaves."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from kmix_tf import _checks


def leaf_paths(structure: Any, path: tuple = ()) -> Iterator[tuple[tuple, Any]]:
    """Leaves in the order of `tf.nest.flatten`, each with the keys and positions that lead to it."""
    if isinstance(structure, Mapping):
        for key in sorted(structure):
            yield from leaf_paths(structure[key], (*path, key))
    elif isinstance(structure, (list, tuple)):
        for index, part in enumerate(structure):
            yield from leaf_paths(part, (*path, index))
    else:
        yield path, structure


def leaf_name(name: str, path: tuple) -> str:
    """A leaf's name in messages, such as `features['left'][0]`."""
    return name + "".join(f"[{key!r}]" for key in path)


def leaves_of(parts: Iterable[tuple[str, Any]]) -> list[tuple[str, tuple, str, Any]]:
    """All leaves of named structures, each with its part, its path and its name; parts that are None have none."""
    return [
        (part, path, leaf_name(part, path), leaf)
        for part, nested in parts
        if nested is not None
        for path, leaf in leaf_paths(nested)
    ]


def same_structure(first: Any, second: Any) -> bool:
    """Whether leaves have the same names; lists and tuples count alike, since JSON makes lists of tuples."""
    paths = [[path for path, _ in leaf_paths(structure)] for structure in (first, second)]
    return paths[0] == paths[1]


def as_selectors(argument: str, value: Any) -> tuple[str, ...]:
    """Makes None, one name or several a tuple of names; positions in tuples may be given as integers.

    A name is a key, or keys and positions joined by "/", and means all leaves below it: "meta", "meta/id", "0/id".
    """
    if value is None:
        return ()
    names = [value] if isinstance(value, (str, int)) else value
    is_sequence = isinstance(names, Iterable) and not isinstance(names, dict)
    try:
        names = list(names) if is_sequence else []
    except TypeError:  # A tensor of one number says that it can be gone through.
        is_sequence = False
    if not is_sequence or not all(isinstance(name, (str, int)) and not isinstance(name, bool) for name in names):
        _checks.refuse(argument, "a key such as 'id' or 'meta/id', or several of them", value, TypeError)
    return tuple(str(name) for name in names)


def is_selected(selectors: Sequence[str], path: tuple) -> bool:
    """Whether a leaf is meant by one of the names."""
    full = "/".join(map(str, path)) if selectors else ""
    return any(full == name or full.startswith(f"{name}/") for name in selectors)


def require_used(argument: str, selectors: Sequence[str], *structures: Any) -> None:
    """Refuses names that mean nothing: a misspelt one would silently change nothing.

    Raises:
        ValueError: naming the leaves there are.
    """
    paths = [path for structure in structures if structure is not None for path, _ in leaf_paths(structure)]
    for name in selectors:
        if not any(is_selected([name], path) for path in paths):
            known = sorted({"/".join(map(str, path)) for path in paths if path})
            raise _checks.problem(f"{argument} must name leaves of the batch. Received: {name!r}; there are {known}.")
