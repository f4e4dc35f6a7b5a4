"""From a Matplotlib figure to SVG inside a page, without a screen, and whatever the caller's settings are."""

import contextlib
import html
import io
import re
import warnings
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from kmix_tf import _extras

BLUE, ORANGE, GREEN, GREY = "#2b6cb0", "#c2571a", "#2f7d5b", "#7d8894"
COLORS = (BLUE, ORANGE, GREEN, "#7a4fa3", "#b8405e", "#8a6d1f", "#3b8ea5", "#5c6670")

# In inches. As wide as a phone shows them at about their own size, so that 10 points stay readable.
WIDTH, HEIGHT = 4.2, 2.7
_STYLE = {
    "axes.edgecolor": "#9aa3ad",
    "axes.labelcolor": "#1c2430",
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "font.size": 10,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "legend.handlelength": 1.4,
    "svg.fonttype": "none",
    "svg.hashsalt": "kmix_tf",
    # Names of classes are no formulas.
    "text.parse_math": False,
    "xtick.color": "#5b6675",
    "ytick.color": "#5b6675",
}
# Nothing of what is not drawn: the prolog, who made it, and where namespaces come from, which a page knows.
_NOT_DRAWN = (
    r"(?s)^.*?(?=<svg)",
    r"(?s)<metadata>.*?</metadata>",
    r"(?s)<defs>\s*<style[^>]*>.*?</style>\s*</defs>",
    r"(?s)<!--.*?-->",
    r' xmlns(:\w+)?="[^"]*"',
)


def need() -> ModuleType:
    """Matplotlib with its figures.

    Raises:
        ImportError: without it, naming the extra that brings it.
    """
    _extras.require("matplotlib.figure", "plot", "kmix-tf audit")
    return _extras.require("matplotlib", "plot", "kmix-tf audit")


def drawn(name: str, label: str, draw: Callable[[Any], object], height: float = HEIGHT) -> str:
    """Draws on the Axes of a new figure, and returns the figure's SVG.

    Args:
        name: of the figure, different for each on a page: its ids begin with it.
        label: what it shows, for those who cannot see it.
        draw: is called with the Axes.
        height: in inches.
    """
    with _settings() as matplotlib:
        figure = matplotlib.figure.Figure(figsize=(WIDTH, height), layout="constrained")
        draw(figure.subplots())
        file = io.StringIO()
        figure.savefig(file, format="svg", metadata={"Date": None})
    return _inline(file.getvalue(), name, label)


@contextlib.contextmanager
def _settings() -> Iterator[ModuleType]:
    """Matplotlib's defaults and ours; then the caller's again. A letter that its font lacks, a browser's may have."""
    matplotlib = need()
    with matplotlib.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        matplotlib.rcdefaults()
        matplotlib.rcParams.update({**_STYLE, "axes.prop_cycle": f"cycler(color={list(COLORS)})"})
        yield matplotlib


def _inline(svg: str, name: str, label: str) -> str:
    for pattern in _NOT_DRAWN:
        svg = re.sub(pattern, "", svg)
    svg = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", svg)
    head = f'<svg role="img" aria-label="{html.escape(label, quote=True)}"'
    # As wide as the page gives it room for.
    return re.sub(r'^<svg width="[^"]*" height="[^"]*"', lambda _: head, svg).strip()
