"""Weights of classes, which become weights of samples before anything is mixed."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._graph import after, require_valid
from kmix_tf.batch.leaf import BOXES, KEPT, MIXED, TARGETS, WEIGHTS, Leaf
from kmix_tf.batch.weights import product, weight_of
from kmix_tf.blend.linear import with_axes

_RULE = (
    "a dictionary of weights >= 0 by class, such as {0: 1.0, 1: 9.0}, or a list of one for each class; where there "
    "are several targets, a structure like theirs, with None for those without classes"
)


class ClassWeights:
    """What classes count, checked. An object of its own, because Keras 2 wraps the dictionaries that a layer holds.

    Args:
        given: a dictionary of numbers >= 0 by class, or a sequence or array of one for each class; or a structure of
            them, with None for targets without classes. None: no weights.
        num_classes: an integer, if all targets have so many classes.

    Raises:
        ValueError: for anything else, for numbers that are negative, infinite or NaN, for classes that there are not.
    """

    def __init__(self, given: Any = None, num_classes: Any = None):
        self.given = _checked(given)
        if isinstance(num_classes, int):
            for table in (each for _, each in _leaves(self.given) if each is not None):
                _table(table, num_classes)

    def of(self, path: tuple) -> Any:
        """The weights of the target at a path: a dictionary, a list, or None."""
        found = self.given
        for key in path if _is_structure(found) else ():
            found = found.get(key) if isinstance(found, dict) else found[key]
        return found

    def require_targets(self, targets: Sequence[Leaf]) -> None:
        """Refuses weights that are not as the targets are. Boxes, which have no weights of classes, are no target.

        Raises:
            ValueError: for one set of weights where there are several targets, or another structure than theirs.
        """
        paths = {leaf.path for leaf in targets}
        named = {path for path, _ in _leaves(self.given)}
        if named <= paths if _is_structure(self.given) else sum(leaf.role != BOXES for leaf in targets) == 1:
            return
        raise _checks.problem(
            "class_weight must have the structure of the targets where there are several, with None for those "
            f"without classes. Received: class_weight={self.given!r} for targets {sorted(map(_shown, paths))}."
        )


def _shown(path: tuple) -> str:
    return "/".join(map(str, path))


def _leaves(given: Any, path: tuple = ()) -> list[tuple[tuple, Any]]:
    if not _is_structure(given):
        return [(path, given)]
    items = given.items() if isinstance(given, dict) else enumerate(given)
    return [leaf for key, value in items for leaf in _leaves(value, (*path, key))]


def _is_structure(given: Any) -> bool:
    """Whether it is a structure of weights, rather than the weights of one target."""
    values = list(given.values()) if isinstance(given, Mapping) else given
    return isinstance(values, (list, tuple)) and any(not _is_number(value) for value in values)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.number)) and not isinstance(value, bool)


def _checked(given: Any) -> Any:
    """The same, of plain numbers, dictionaries and lists."""
    if given is None:
        return None
    if isinstance(given, (np.ndarray, tf.Tensor)):
        given = np.asarray(given).tolist()
    if not isinstance(given, (Mapping, list, tuple)) or not given:
        _checks.refuse("class_weight", _RULE, given)
    each = _checked if _is_structure(given) else _weight
    if not isinstance(given, Mapping):
        return [each(value) for value in given]
    keys = given if _is_structure(given) else map(_class, given)
    return {key: each(value) for key, value in zip(keys, given.values(), strict=True)}


def _class(key: Any) -> int:
    # JSON makes text of numbers that are keys.
    is_text = isinstance(key, str) and key.isdecimal()
    return _checks.integer("a class in class_weight", int(key) if is_text else key, minimum=0)


def _weight(value: Any) -> float:
    return _checks.number("class_weight", value)


def _table(weights: Any, count: int) -> list[float]:
    """The weight of each of so many classes; of those that a dictionary leaves out, 1, as in Keras."""
    if isinstance(weights, list):
        if len(weights) != count:
            _checks.refuse("class_weight", f"as long as there are classes, {count}", weights)
        return weights
    if max(weights) >= count:
        _checks.refuse("class_weight", f"of classes in [0, {count})", weights)
    return [weights.get(each, 1.0) for each in range(count)]


def weighed_by_class(leaves: Sequence[Leaf], y: Any, weights: ClassWeights) -> list[Leaf]:
    """The leaves, with a sample weight for each target: its labels' class weights, times the sample weight that came.

    Args:
        leaves: of a batch, as they were read. y: the targets' structure.
    """
    if y is None:
        raise _checks.problem("class_weight needs targets, which say the classes. Received: features alone.")
    targets, given = ([leaf for leaf in leaves if leaf.part == part] for part in (TARGETS, WEIGHTS))
    weights.require_targets(targets)
    tables = [None if target.role == BOXES else weights.of(target.path) for target in targets]
    made = [
        _weight_of(target, weight_of(target, given), table) for target, table in zip(targets, tables, strict=True)
    ]
    return [*(leaf for leaf in leaves if leaf.part != WEIGHTS), *made]


def _weight_of(target: Leaf, given: Leaf | None, table: Any) -> Leaf:
    name = f"{WEIGHTS} of {target.name}" if given is None else given.name
    factors = [] if given is None else [given.tensor]
    if table is not None and target.role == KEPT:
        raise _checks.problem(
            f"class_weight is for targets that are mixed. Received: one for {target.name}, which rides along. Give "
            "it sample_weight, or None here."
        )
    if table is not None:
        factors.append(_of_labels(target, table))
    tensor = product(factors) if factors else _ones(target)
    role = MIXED if target.role == BOXES else target.role
    return target._replace(part=WEIGHTS, role=role, name=name, tensor=tensor)


def _ones(target: Leaf) -> tf.Tensor:
    """A weight of 1 for each sample, of the loss' rank: Keras 3 would lay `(batch,)` along other axes of it."""
    ones = tf.ones(tf.shape(target.tensor)[:1])
    if target.role == BOXES:
        return with_axes(ones, 1)
    return ones if target.role == KEPT else with_axes(ones, max(target.tensor.shape.rank - 2, 0))


def _of_labels(target: Leaf, weights: Any) -> tf.Tensor:
    """What each label counts, float32, of the target's shape without its axis of classes."""
    if target.tensor.dtype.is_integer:  # to be packed
        return _of_classes(target, weights)
    labels = tf.cast(_of_both_classes(target.tensor), tf.float32)
    if labels.shape[-1] is None:
        raise _checks.problem(
            f"class_weight needs a known number of classes. Received: {target.name} of shape {labels.shape}. "
            "See tf.ensure_shape."
        )
    table = tf.constant(_table(weights, labels.shape[-1]))
    apart = tf.abs(tf.reduce_sum(labels, axis=-1, keepdims=True) - 1)
    are_of_one = tf.reduce_all((labels >= 0) & (apart <= _checks.SUM_TOLERANCE))
    message = (
        "class_weight needs labels of one class each: integers, one-hot, 0 and 1 of one unit, or soft ones that sum "
        f"to 1. Received: others, in {target.name} of shape {target.tensor.shape}. For multi-label and regression "
        "targets give sample_weight."
    )
    (labels,) = after(require_valid([(are_of_one, message)]), [labels])
    return tf.linalg.matvec(labels, table)


def _of_both_classes(labels: tf.Tensor) -> tf.Tensor:
    """Labels with an axis of classes; of one unit, 0 and 1, those of two."""
    if labels.shape.rank == 1:
        return tf.stack([1 - labels, labels], axis=-1)
    return tf.concat([1 - labels, labels], axis=-1) if labels.shape[-1] == 1 else labels


def _of_classes(target: Leaf, weights: Any) -> tf.Tensor:
    """What integer labels count; those that a dictionary leaves out, 1."""
    # Nothing is looked up by the smallest integers, which hold no large count either.
    labels, is_open = tf.cast(target.tensor, tf.int64), isinstance(weights, dict)
    count = max(weights) + 1 if is_open else len(weights)
    inside = (labels >= 0) & (labels < count)
    are_known = tf.reduce_all((labels >= 0) if is_open else inside)
    message = f"class_weight must be of all labels, which are >= 0. Received: others, in {target.name}."
    (labels,) = after(require_valid([(are_known, message)]), [tf.where(inside, labels, tf.zeros_like(labels))])
    return tf.where(inside, tf.gather(tf.constant(_table(weights, count)), labels), 1.0)
