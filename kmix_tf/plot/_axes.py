"""Matplotlib, where it is needed."""

from types import ModuleType
from typing import Any

from kmix_tf import _extras


def pyplot() -> ModuleType:
    """matplotlib.pyplot, or an ImportError that names the extra `plot`."""
    return _extras.require("matplotlib.pyplot", "plot", "kmix_tf.plot")


def axes_or_new(axes: Any) -> Any:
    """The given Axes, or one of a new figure."""
    return pyplot().subplots(figsize=(5, 4), layout="constrained")[1] if axes is None else axes
