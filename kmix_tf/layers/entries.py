"""What a choice of mixes asks of the layers it chooses from."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from kmix_tf import _checks
from kmix_tf.layers.stage import Stage, require_nothing_carried

# What batches become must not depend on who mixes them.
AGREED = ("num_classes", "class_weight", "features_only", "targets", "passthrough", "masks")

# Probabilities may be rounded so much: those of NumPy in float32 are.
_ROUNDED = 1e-5


def checked_entries(layers: Any) -> list[Stage | None]:
    """Layers that mix, at least one, and None for batches that are left as they are.

    Raises:
        TypeError, ValueError: for anything else.
    """
    rule = "a list of mix layers, such as [KMixupLayer(16), CutMixLayer()], with None for leaving batches as they are"
    if not isinstance(layers, Sequence) or isinstance(layers, str):
        _checks.refuse("layers", rule, layers, TypeError)
    for layer in layers:
        if layer is not None and not isinstance(layer, Stage):
            _checks.refuse("layers", rule, layer, TypeError)
        if layer is not None:
            require_nothing_carried("layers", layer)
    if all(layer is None for layer in layers):
        _checks.refuse("layers", f"{rule}; at least one must mix", list(layers))
    return list(layers)


def checked_probabilities(probabilities: Any, count: int) -> list[float]:
    """A probability for each of so many layers, which sum to 1; all alike by default.

    Raises:
        ValueError: for others.
    """
    if probabilities is None:
        return [1 / count] * count
    rule = f"None, or numbers >= 0 that sum to 1, one for each of the {count} layers"
    try:
        values = np.asarray(probabilities, np.float64)
    except (TypeError, ValueError):
        _checks.refuse("probabilities", rule, probabilities)
    if values.shape != (count,) or not (values >= 0).all():
        _checks.refuse("probabilities", rule, probabilities)
    if not abs(values.sum() - 1) <= _ROUNDED:
        raise _checks.problem(
            f"probabilities must be {rule}. Received: probabilities={probabilities!r}, which sum to "
            f"{values.sum():.6g}. Add what is missing; None among the layers stands for leaving a batch as it is."
        )
    return (values / values.sum()).tolist()


def require_agreement(layers: Sequence[Stage]) -> None:
    """Refuses layers whose results differ in more than numbers.

    Raises:
        ValueError: naming the option that differs.
    """
    for option in (*AGREED, "mixtures"):
        values = [_plain(getattr(layer, option)) for layer in layers]
        if any(value != values[0] for value in values):
            name = "interpolations" if option == "mixtures" else option
            values = [value or 1 for value in values] if option == "mixtures" else values
            raise _checks.problem(
                f"layers must agree in {name}, for which of them mixes a batch is left to chance. "
                f"Received: {name} of {values}. Give all of them the same."
            )


def shared_option(name: str) -> Any:
    """An option that all layers have alike, read from the first."""
    return property(lambda choice: getattr(choice._mixes[0], name), doc=f"{name}, of all layers alike.")


def _plain(value: Any) -> Any:
    """Without the wrappers in which Keras keeps lists and tuples."""
    return list(value) if isinstance(value, (list, tuple)) else value
