"""Matplotlib, where it is needed."""

from types import ModuleType
from typing import TYPE_CHECKING

from kmix_tf import _extras

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def pyplot() -> ModuleType:
    """matplotlib.pyplot, or an ImportError that names the extra `plot`."""
    return _extras.require("matplotlib.pyplot", "plot", "kmix_tf.plot")


def axes_or_new(axes: "Axes | None") -> "Axes":
    """The given Axes, or one of a new figure."""
    return pyplot().subplots(figsize=(5, 4), layout="constrained")[1] if axes is None else axes
