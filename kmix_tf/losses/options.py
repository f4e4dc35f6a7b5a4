"""What losses hand on to Keras."""

from typing import Any, TypedDict


class KerasOptions(TypedDict, total=False):
    """What Keras' own losses take besides."""

    reduction: Any
    dtype: Any
