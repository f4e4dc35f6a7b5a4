"""What a reduction of features is, and what an option that names one may be."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from kmix_tf import _checks
from kmix_tf.decision import Configured

FULL = "full"


class Reduction(Configured):
    """Makes features small for distances to be measured on. A subclass says of one leaf how, in `reduced`."""

    def __call__(self, leaves: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """Leaves `(batch, ...)`, made small where this reduction is for their kind; others stay as they are. No
        gradient goes through them."""
        return [tf.stop_gradient(self.reduced(tf.convert_to_tensor(leaf))) for leaf in leaves]

    def reduced(self, leaf: tf.Tensor) -> tf.Tensor:
        """One leaf `(batch, ...)`."""
        raise NotImplementedError


def as_match_at(value: Any) -> str | Reduction:
    """What `match_at` says: "full" or a reduction.

    Raises:
        TypeError, ValueError: for anything else.
    """
    if isinstance(value, type):
        _checks.refuse("match_at", f"an object: with brackets, {value.__name__}(...)", value, TypeError)
    if not isinstance(value, Reduction) and not (isinstance(value, str) and value == FULL):
        rule = "'full', Pooled(window) or Projected(columns)"
        rule += "; functions go to embedding" if callable(value) else ""
        _checks.refuse("match_at", rule, value, ValueError if isinstance(value, str) else TypeError)
    return value
