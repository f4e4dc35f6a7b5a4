"""A model's outputs: their kinds, targets in their form, and eq. (22) for each kind."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._ops import Tensor, ops
from kmix_tf._paths import leaf_name, leaf_paths, same_structure
from kmix_tf.models.rescaled.simplex import project_to_simplex

OUTPUTS = ("logits", "probabilities", "regression", "multilabel_logits", "multilabel_probabilities")
LOGITS = ("logits", "multilabel_logits")
PROBABILITIES = ("probabilities", "multilabel_probabilities")


class Heads:
    """What kind each of a model's outputs is: one word for all of them, or a structure like theirs.

    A class of its own, because Keras 2 wraps the dictionaries that are set on a model, and then fails on them.

    Raises:
        ValueError: for a kind that is none.
    """

    def __init__(self, kinds: Any):
        self.kinds = kinds
        if tf.nest.is_nested(kinds):
            for path, kind in leaf_paths(kinds):
                _checks.choice(leaf_name("output", path), kind, OUTPUTS)
        else:
            _checks.choice("output", kinds, OUTPUTS)

    def of(self, answer: Any) -> list[str]:
        """The kind of each leaf of what the model answers, in the order of `tf.nest.flatten`.

        Raises:
            ValueError: if the answer has another structure than the kinds.
        """
        if not tf.nest.is_nested(self.kinds):
            return [self.kinds] * len(tf.nest.flatten(answer))
        if not same_structure(self.kinds, answer):
            raise _checks.problem(
                f"output must be one of {', '.join(map(repr, OUTPUTS))}, or a structure of them like "
                f"the model's outputs. Received: output={self.kinds!r} for outputs {list(output_names(answer))}."
            )
        return tf.nest.flatten(self.kinds)


def output_names(answer: Any) -> Iterator[str]:
    """The name of each of a model's outputs in messages, in the order of `tf.nest.flatten`: `output['left']`."""
    for path, _ in leaf_paths(answer):
        yield leaf_name("output", path)


def targets_like_outputs(targets: Any, shape: tuple[int, ...], kind: str, name: str = "targets") -> np.ndarray:
    """Targets as a model would put them out, `(batch, *shape)`: integer classes one-hot, without a last axis of 1.

    Raises:
        ValueError: for labels outside the classes, targets of another shape, or targets that are no probabilities
            where the output's are.
    """
    targets = np.asarray(targets)
    if _are_classes(targets, shape, kind):
        targets = targets.reshape(len(targets), *shape[:-1])
        if targets.size and not (targets.min() >= 0 and targets.max() < shape[-1]):
            raise _checks.problem(
                f"labels must be in [0, {shape[-1]}), the model's classes. "
                f"Received: {'labels' if name == 'targets' else name} from {targets.min()} to {targets.max()}."
            )
        return np.eye(shape[-1])[targets]
    if shape[-1:] == (1,) and targets.shape[1:] == shape[:-1]:
        targets = targets[..., np.newaxis]
    if targets.shape[1:] != shape:
        raise _checks.problem(
            f"{name} must have the shape of the model's output, or be integer classes. "
            f"Received: {name} of shape {targets.shape} for an output of shape "
            f"{(None, *shape)}{_said(targets, shape, kind)}."
        )
    if kind != "regression":
        _require_probabilities(targets, kind, name)
    return targets


def stretch(answer: Tensor, y_mean: Tensor, theta_bar: Any, kind: str) -> Tensor:
    """Turns the answer `(batch, ...)` for a shrunk input into one for the input: y_mean (1 - 1/theta) + f/theta.

    Source: On Mixup Regularization, eq. (22).
    """
    y_mean = ops.cast(y_mean, answer.dtype)
    theta_bar = theta_bar if isinstance(theta_bar, float) else ops.cast(theta_bar, answer.dtype)
    if kind == "multilabel_logits" or (kind == "logits" and answer.shape[-1] == 1):
        # One logit is the difference of two. As two, eq. (22) shifts it by the difference of the class means;
        # applied to the one, it would move the boundary between balanced classes, which it must leave alone.
        y_mean = 2 * y_mean - 1
    stretched = y_mean * (1 - 1 / theta_bar) + answer / theta_bar
    if kind == "multilabel_probabilities":
        return ops.clip(stretched, 0, 1)
    return project_to_simplex(stretched) if kind == "probabilities" else stretched


def _are_classes(targets: np.ndarray, shape: tuple[int, ...], kind: str) -> bool:
    """Whether targets are integers, one for each vector of the output, with or without a last axis of 1."""
    if kind not in ("logits", "probabilities") or not np.issubdtype(targets.dtype, np.integer):
        return False
    return shape[-1:] != (1,) and targets.shape[1:] in (shape[:-1], (*shape[:-1], 1))


def _said(targets: np.ndarray, shape: tuple[int, ...], kind: str) -> str:
    """What is wrong with targets that could be classes but for their dtype."""
    may_be_classes = kind in ("logits", "probabilities") and targets.shape[1:] in (shape[:-1], (*shape[:-1], 1))
    if not may_be_classes or np.issubdtype(targets.dtype, np.integer):
        return ""
    return f", of dtype {targets.dtype}: classes must be integers"


def _require_probabilities(targets: np.ndarray, kind: str, name: str) -> None:
    remedy = "set output='regression' for a target that is any number"
    lowest, highest = (targets.min(), targets.max()) if targets.size else (0, 1)
    if lowest < -1e-3 or highest > 1 + 1e-3:
        raise _checks.problem(
            f"{name} must be in [0, 1] where output={kind!r}; {remedy}. "
            f"Received: {name} from {lowest:g} to {highest:g}."
        )
    if kind.startswith("multilabel") or targets.shape[-1] == 1:
        return
    totals = np.asarray(targets, dtype=np.float64).sum(axis=-1)
    if not (np.abs(totals - 1) < _checks.SUM_TOLERANCE).all():
        raise _checks.problem(
            f"{name} must sum to 1 over the classes where output={kind!r}; set output='multilabel_{kind}' "
            f"for labels that do not exclude each other. Received: sums from {totals.min():g} to {totals.max():g}."
        )
