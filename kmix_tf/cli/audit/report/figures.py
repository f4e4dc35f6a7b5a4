"""The report's figures, each drawn from the report's numbers and put into the page as SVG."""

import contextlib
import io
import re
import warnings
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import numpy as np
from markupsafe import Markup

from kmix_tf import _extras
from kmix_tf.analysis.crossing import CrossMatchShare, cross_match_bound
from kmix_tf.analysis.locality import DistanceProfile
from kmix_tf.cli.audit.wording import percent
from kmix_tf.cli.terminal import in_one_line
from kmix_tf.plot import plot_cross_matches, plot_distances

BLUE, ORANGE, GREEN, GREY = "#2b6cb0", "#c2571a", "#2f7d5b", "#7d8894"
COLORS = (BLUE, ORANGE, GREEN, "#7a4fa3", "#b8405e", "#8a6d1f", "#3b8ea5", "#5c6670")
# In inches. As wide as a phone shows them at about their own size, so that 10 points stay readable.
WIDTH, HEIGHT = 4.2, 2.7
# In inches: of a bar, and of what is around bars.
_BAR, _AROUND = 0.25, 0.15
# More classes than this have no room for names.
NAMED = 24
_LONGEST_NAME = 20
_POINTS = 1500
_STYLE = {
    "axes.edgecolor": "#9aa3ad",
    "axes.labelcolor": "#1c2430",
    "axes.prop_cycle": f"cycler(color={list(COLORS)})",
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
# What is not drawn: the prolog, who made it, comments, and where namespaces come from, which a page knows.
_NOT_DRAWN = re.compile(
    r"^.*?(?=<svg)|<metadata>.*?</metadata>|<defs>\s*<style[^>]*>.*?</style>\s*</defs>|<!--.*?-->"
    r'| xmlns(:\w+)?="[^"]*"',
    re.S,
)


def need() -> ModuleType:
    """Matplotlib with its figures; or an ImportError that names the extra that brings it."""
    _extras.require("matplotlib.figure", "cli", "kmix-tf audit")
    return _extras.require("matplotlib", "cli", "kmix-tf audit")


def svg(name: str, label: str, draw: Callable[[Any], object], height: float = HEIGHT) -> Markup:
    """Draws on the Axes of a new figure, without a screen, and returns the figure's SVG.

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
    drawn = _NOT_DRAWN.sub("", file.getvalue())
    drawn = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", drawn)
    # As wide as the page gives it room for.
    rest = re.sub(r'^<svg width="[^"]*" height="[^"]*"\s*', "", drawn).strip()
    return Markup('<svg role="img" aria-label="{}" ').format(label) + Markup(rest)


@contextlib.contextmanager
def _settings() -> Iterator[ModuleType]:
    """Matplotlib's defaults and ours; then the caller's again. A letter that its font lacks, a browser's may have."""
    matplotlib = need()
    with matplotlib.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        yield matplotlib


def harm(measures: dict[str, Any]) -> Markup:
    """Contradicted labels and conflicts at each alpha."""
    labels, mixtures = measures["contradictions"]["by_alpha"], measures["conflicts"]["by_alpha"]
    baseline, places = [row["baseline"] for row in mixtures], np.arange(len(labels))
    asked = {place - 0.16: row["share"] for place, row in enumerate(labels) if row["share"] is not None}
    conflicts = [row["share"] for row in mixtures]

    def draw(axes: Any) -> None:
        if asked:
            axes.bar(list(asked), list(asked.values()), 0.3, color=ORANGE, label="contradicted")
        axes.bar(places + 0.16, conflicts, 0.3, color=BLUE, label="in conflict")
        axes.hlines(baseline, places, places + 0.32, GREY, "--", linewidth=1.8, label="unmixed")
        axes.set_xticks(places, [f"alpha = {row['alpha']:g}" for row in labels])
        look = {"rotation": 90, "ha": "center", "va": "bottom", "fontsize": 8, "color": ORANGE}
        for place in set((places - 0.16).tolist()) - set(asked):
            axes.text(place, 0, " contradicted: not measured", **look)
        highest = max(*asked.values(), *conflicts, *baseline, 0.05)
        axes.set(ylabel="share", xlim=(-0.5, len(labels) - 0.5), ylim=(0, 1.08 * highest))
        axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.3g} %")
        _legend_above(axes, 3)

    return svg("harm", "Contradicted labels and conflicts, by alpha", draw)


def crossing(measures: dict[str, Any]) -> Markup:
    """The share of matches across classes against k, with what it is at least."""
    rows = measures["matching"]["by_k"]
    k, share, error = (np.array([row[name] for row in rows]) for name in ("k", "cross_share", "standard_error"))
    bound = cross_match_bound([row["measured"] for row in measures["balance"]["classes"]], k)

    def draw(axes: Any) -> None:
        plot_cross_matches({"these data": CrossMatchShare(k, share, error)}, bound, axes=axes)
        axes.set_ylabel("matches across classes")
        axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.3g} %")
        _legend_above(axes, 1)

    return svg("crossing", "Matches that join different classes, against k", draw, HEIGHT + 0.4)


def cost(measures: dict[str, Any]) -> Markup:
    """The distance of matched pairs against k."""
    rows = measures["matching"]["by_k"]

    def draw(axes: Any) -> None:
        axes.plot([row["k"] for row in rows], [row["distance"] for row in rows], marker="o", markersize=4)
        axes.set(ylabel="distance of matched pairs", ylim=(0, None))
        _doublings(axes, rows)

    return svg("cost", "Distance of matched pairs, against k", draw)


def alphas(measures: dict[str, Any]) -> Markup:
    """alpha_k against k, on doublings, for alphas of plain mixup that common use takes."""
    rows = measures["matching"]["by_k"]

    def draw(axes: Any) -> None:
        common = [place for place, one in enumerate(rows[0]["alphas"]) if one["alpha"] <= 1]
        for place, color in zip(common, (GREEN, BLUE, ORANGE), strict=False):
            reached = [(row["k"], row["alphas"][place]["alpha_k"]) for row in rows]
            reached = [(k, alpha) for k, alpha in reached if alpha is not None and alpha < 1000]
            label = f"as mixup at {rows[0]['alphas'][place]['alpha']:g}"
            axes.plot(*zip(*reached, strict=True), marker="o", markersize=4, color=color, label=label)
        axes.set_yscale("log", base=2)
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:.3g}")
        axes.set_ylabel("alpha_k")
        _doublings(axes, rows)
        _legend_above(axes, 2)

    return svg("alphas", "Alpha that perturbs as much as plain mixup, against k", draw)


def distances(measures: dict[str, Any]) -> Markup:
    """Distances of pairs within and between classes, and epsilon."""
    found = {name: measures["locality"][name] for name in DistanceProfile._fields}
    profile = DistanceProfile(**{**found, **{name: np.array(found[name]) for name in ("edges", "same", "other")}})

    def draw(axes: Any) -> None:
        plot_distances(profile, axes)
        axes.set(xlabel="distance of a pair", yticks=[])
        _legend_above(axes, 2)

    return svg("distances", "Histograms of distances within and between classes", draw)


def balance(measures: dict[str, Any]) -> Markup:
    """How many samples each class has; the largest and smallest of many."""
    shown = sorted(measures["balance"]["classes"], key=lambda row: -row["samples"])
    if len(shown) > NAMED:
        shown = shown[: NAMED // 2] + shown[-NAMED // 2 :]
    samples = [row["samples"] for row in shown]

    def draw(axes: Any) -> None:
        bars = axes.barh(range(len(shown)), samples, 0.7, color=BLUE)
        words = [f"{row['samples']:,} ({percent(row['share'])})" for row in shown]
        axes.bar_label(bars, words, padding=4, fontsize=9)
        axes.set_yticks(range(len(shown)), [_shortened(row["class"]) for row in shown])
        axes.set(xticks=[], xlim=(0, 1.45 * max(samples)), ylim=(len(shown) - 0.5, -0.5))
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)

    return svg("balance", "Samples of each class", draw, _AROUND + _BAR * len(shown))


def scatter(x: np.ndarray, y: np.ndarray, classes: list[str], names: list[str], seed: int) -> Markup:
    """Samples of two features, a colour a class.

    Args:
        names: of the two features.
    """
    shown = np.sort(np.random.default_rng([seed, 4]).permutation(len(x))[:_POINTS])
    x, y = x[shown].astype(np.float64), y[shown]

    def draw(axes: Any) -> None:
        look = {"s": 20 if len(x) < 100 else 8, "alpha": 0.6, "linewidths": 0}
        for label in range(len(classes)):
            axes.scatter(*x[y == label].T, label=str(label), color=COLORS[label % len(COLORS)], **look)
        axes.set(xlabel=in_one_line(names[0]), ylabel=in_one_line(names[1]))
        if len(classes) <= len(COLORS):
            # Afterwards, as Matplotlib leaves out what is labelled with an underscore in front.
            for text, name in zip(_legend_above(axes, 4).get_texts(), classes, strict=True):
                text.set_text(_shortened(name))

    return svg("samples", "The samples, a colour a class", draw, HEIGHT + 0.5)


def _shortened(name: str) -> str:
    name = in_one_line(name)
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"


def _legend_above(axes: Any, columns: int) -> Any:
    """Where it hides nothing."""
    return axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, columnspacing=1.2, borderpad=0.2)


def _doublings(axes: Any, rows: list[dict[str, Any]]) -> None:
    sizes = [row["k"] for row in rows]
    axes.set_xscale("log", base=2)
    axes.set_xticks(sizes, map(str, sizes))
    axes.minorticks_off()
    axes.set_xlabel("k")
