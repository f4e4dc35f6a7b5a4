"""The rules for shares in labels that a layer holds, and what they say of a batch."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._graph import after, numbers_of, require
from kmix_tf.batch.batch import Batch
from kmix_tf.batch.leaf import BOXES, MIXED, TARGETS, Leaf
from kmix_tf.batch.mixture import Mixture, is_of_places, pairs_of, places_of_mask
from kmix_tf.label_shares.base import LabelShareStrategy, as_label_shares

_SEVERAL = (
    "label_shares must have the structure of the targets where there are several, with None for those that follow "
    "the ratio"
)


class LabelRules:
    """Rules for shares in labels, checked. An object of its own: Keras 2 wraps dictionaries that a layer holds.

    Args:
        given: a `LabelShareStrategy`, a callable of its signature, or a structure of them like the targets', with
            None for targets that follow the ratio. None: all do.
        num_classes: an integer, if all targets have so many classes.

    Raises:
        TypeError: for anything else. ValueError: for a rule for another number of classes.
    """

    def __init__(self, given: Any = None, num_classes: Any = None):
        self.given = _checked(given)
        self._all = [rule for _, rule in _leaves(self.given) if rule is not None]
        for rule in self._all if isinstance(num_classes, int) else []:
            rule.require_classes(num_classes)

    def __bool__(self) -> bool:
        return bool(self._all)

    def _shown(self) -> Any:
        """By the names of the rules."""
        named = {"/".join(map(str, path)): rule and rule.shown for path, rule in _leaves(self.given)}
        return named if _is_structure(self.given) else named[""]

    @property
    def runs_on_host(self) -> bool:
        """Whether any calls back to the host, where XLA cannot follow."""
        return any(rule.runs_on_host for rule in self._all)

    def of(self, targets: list[Leaf]) -> list[tuple[int, LabelShareStrategy]]:
        """The rules of a batch's targets, each with the number of its target.

        Raises:
            ValueError: for one rule where there are several targets, another structure than theirs, or a rule for
                what rides along.
        """
        rules = dict(_leaves(self.given))
        of_samples = [leaf for leaf in targets if leaf.role != BOXES]
        if not _is_structure(self.given) and len(of_samples) == 1:
            rules = {of_samples[0].path: self.given}
        paths = {leaf.path for leaf in targets}
        found = [(at, rules[leaf.path]) for at, leaf in enumerate(targets) if rules.get(leaf.path) is not None]
        if targets and not set(rules) <= paths:
            names = [leaf.name for leaf in targets]
            raise _checks.problem(f"{_SEVERAL}. Received: label_shares={self._shown()} for {names}.")
        for at, rule in found:
            if targets[at].role != MIXED:
                raise _checks.problem(
                    f"label_shares is for targets that are mixed. Received: {rule.shown} for {targets[at].name}, "
                    "which rides along."
                )
        return found


def label_ratios(first: Batch, second: Batch, mixture: Mixture, rules: LabelRules) -> dict[tuple, tf.Tensor]:
    """The share of the sample itself in the label, for the path of each target that has a rule: of the ratio's shape.

    Raises:
        ValueError: for targets whose places have shares of their own, mixtures of more than two samples, or a rule
            that gives something else. InvalidArgumentError: on the batch, for shares outside [0, 1].
    """
    ours, theirs = ([leaf for leaf in batch.leaves if leaf.part == TARGETS] for batch in (first, second))
    return {ours[at].path: _ratio(ours[at], theirs[at], mixture, rule) for at, rule in rules.of(ours)}


def _ratio(ours: Leaf, theirs: Leaf, mixture: Mixture, rule: LabelShareStrategy) -> tf.Tensor:
    if mixture.blended.shares is not None:
        raise _checks.problem(
            f"label_shares is for mixtures of two samples. Received: {rule.shown}, and a blend of more than two."
        )
    if is_of_places(ours.tensor, places_of_mask(mixture.blended)):
        raise _checks.problem(
            "label_shares is for targets with one share each, not for maps, which are pasted place by place. "
            f"Received: {rule.shown} for {ours.name} of shape {ours.tensor.shape}. Give None for this target."
        )
    given = mixture.label_ratio
    pairs = pairs_of(mixture, given, by_place=False)
    wanted = f"{rule.shown} must return ratios, one for each mixture: {pairs.share.shape}"
    values = numbers_of(rule(pairs.own(ours.tensor), pairs.other(theirs.tensor), pairs.share), wanted)
    is_of_ratio = values.shape.rank == 1 and values.shape.is_compatible_with(pairs.share.shape)
    if values.dtype.is_bool or not is_of_ratio:
        raise _checks.problem(f"{wanted}. Received: {values.dtype.name} of shape {values.shape}.")
    values = tf.cast(values, given.dtype)
    sound = tf.reduce_all((values >= 0) & (values <= 1))
    message = f"{rule.shown} must return ratios in [0, 1]. Received: ratios outside, or NaN."
    (values,) = after(require(sound, message), [values])
    values = tf.ensure_shape(tf.reshape(values, tf.shape(given)), given.shape)
    # What shows but one sample is nothing else.
    return tf.where((given > 0) & (given < 1), values, given)


def _checked(given: Any) -> Any:
    """The same structure, of rules."""
    if given is None:
        return None
    if isinstance(given, Mapping):
        return {key: _checked(each) for key, each in given.items()}
    if isinstance(given, (list, tuple)):
        return [_checked(each) for each in given]
    return as_label_shares(given)


def _is_structure(given: Any) -> bool:
    return isinstance(given, (dict, list))


def _leaves(given: Any, path: tuple = ()) -> list[tuple[tuple, Any]]:
    if not _is_structure(given):
        return [(path, given)]
    items = given.items() if isinstance(given, dict) else enumerate(given)
    return [leaf for key, value in items for leaf in _leaves(value, (*path, key))]
