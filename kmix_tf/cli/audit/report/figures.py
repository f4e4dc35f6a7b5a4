"""The report's figures, each an SVG made of the report's numbers."""

from typing import Any

import numpy as np

from kmix_tf.analysis.crossing import CrossMatchShare, cross_match_bound
from kmix_tf.analysis.locality import DistanceProfile
from kmix_tf.cli.audit.report.drawing import BLUE, COLORS, GREEN, GREY, HEIGHT, ORANGE, drawn
from kmix_tf.cli.audit.report.words import percent
from kmix_tf.plot import plot_cross_matches, plot_distances

# More classes than this have no room for names.
NAMED = 24
_POINTS = 1500
# In inches: of a bar, and of what is around bars.
_BAR, _AROUND = 0.25, 0.15
_LONGEST_NAME = 20


def harm(measures: dict[str, Any]) -> str:
    """Contradicted labels and conflicts at each alpha."""
    first, second = measures["contradictions"]["by_alpha"], measures["conflicts"]["by_alpha"]
    baseline = measures["closeness"]["nearest_is_other"]
    asked = [(place, row["share"]) for place, row in enumerate(first) if row["share"] is not None]
    shares = [[share for _, share in asked], [row["share"] for row in second]]

    def draw(axes: Any) -> None:
        places = np.arange(len(first))
        if asked:
            axes.bar([place - 0.16 for place, _ in asked], shares[0], 0.3, color=ORANGE, label="contradicted")
        axes.bar(places + 0.16, shares[1], 0.3, color=BLUE, label="in conflict")
        axes.axhline(baseline, color=GREY, linestyle="--", linewidth=1.2, label="unmixed")
        axes.set_xticks(places, [f"alpha = {row['alpha']:g}" for row in first])
        for place in set(range(len(first))) - {place for place, _ in asked}:
            axes.text(
                place - 0.16,
                0,
                " contradicted: not measured",
                rotation=90,
                ha="center",
                va="bottom",
                fontsize=8,
                color=ORANGE,
            )
        axes.set(
            ylabel="share",
            xlim=(-0.5, len(first) - 0.5),
            ylim=(0, 1.08 * max(*shares[0], *shares[1], baseline, 0.05)),
        )
        axes.yaxis.set_major_formatter(_percents)
        _legend_above(axes, 3)

    return drawn("harm", "Contradicted labels and conflicts, by alpha", draw)


def crossing(measures: dict[str, Any]) -> str:
    """The share of matches across classes against k, with what it is at least."""
    rows = measures["matching"]["by_k"]
    k, share, error = (np.array([row[name] for row in rows]) for name in ("k", "cross_share", "standard_error"))
    bound = cross_match_bound([row["measured"] for row in measures["balance"]["classes"]], k)

    def draw(axes: Any) -> None:
        plot_cross_matches({"these data": CrossMatchShare(k, share, error)}, bound, axes=axes)
        axes.set_ylabel("matches across classes")
        axes.yaxis.set_major_formatter(_percents)
        _legend_above(axes, 1)

    return drawn("crossing", "Matches that join different classes, against k", draw, HEIGHT + 0.4)


def cost(measures: dict[str, Any]) -> str:
    """The distance of matched pairs against k."""
    rows = measures["matching"]["by_k"]

    def draw(axes: Any) -> None:
        axes.plot([row["k"] for row in rows], [row["distance"] for row in rows], marker="o", markersize=4)
        axes.set(ylabel="distance of matched pairs", ylim=(0, None))
        _doublings(axes, rows)

    return drawn("cost", "Distance of matched pairs, against k", draw)


def alphas(measures: dict[str, Any]) -> str:
    """alpha_k against k, on doublings, for alphas of plain mixup that common use takes."""
    rows = measures["matching"]["by_k"]

    def draw(axes: Any) -> None:
        for place, color in ((0, GREEN), (1, BLUE)):
            reached = [(row["k"], row["alphas"][place]["alpha_k"]) for row in rows]
            reached = [(k, alpha) for k, alpha in reached if alpha is not None and alpha < 1000]
            label = f"as mixup at {rows[0]['alphas'][place]['alpha']:g}"
            axes.plot(*zip(*reached, strict=True), marker="o", markersize=4, color=color, label=label)
        axes.set_yscale("log", base=2)
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:.3g}")
        axes.set_ylabel("alpha_k")
        _doublings(axes, rows)
        _legend_above(axes, 2)

    return drawn("alphas", "Alpha that perturbs as much as plain mixup, against k", draw)


def distances(measures: dict[str, Any]) -> str:
    """Distances of pairs within and between classes, and epsilon."""
    found = {name: measures["locality"][name] for name in DistanceProfile._fields}
    profile = DistanceProfile(**{**found, **{name: np.array(found[name]) for name in ("edges", "same", "other")}})

    def draw(axes: Any) -> None:
        plot_distances(profile, axes)
        axes.set(xlabel="distance of a pair", yticks=[])
        _legend_above(axes, 2)

    return drawn("distances", "Histograms of distances within and between classes", draw)


def balance(measures: dict[str, Any]) -> str:
    """How many samples each class has; the largest and smallest of many."""
    classes = sorted(measures["balance"]["classes"], key=lambda row: -row["samples"])
    half = NAMED // 2
    shown = classes if len(classes) <= NAMED else classes[:half] + classes[-half:]

    def draw(axes: Any) -> None:
        bars = axes.barh(range(len(shown)), [row["samples"] for row in shown], 0.7, color=BLUE)
        words = [f"{row['samples']:,} ({percent(row['share'])})" for row in shown]
        axes.bar_label(bars, words, padding=4, fontsize=9)
        axes.set_yticks(range(len(shown)), [_shortened(row["class"]) for row in shown])
        axes.set(xticks=[], xlim=(0, 1.45 * max(row["samples"] for row in shown)), ylim=(len(shown) - 0.5, -0.5))
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)

    return drawn("balance", "Samples of each class", draw, _AROUND + _BAR * len(shown))


def scatter(x: np.ndarray, y: np.ndarray, classes: list[str], names: list[str], seed: int) -> str:
    """Samples of two features, a colour a class.

    Args:
        names: of the two features.
    """
    shown = np.sort(np.random.default_rng([seed, 4]).permutation(len(x))[:_POINTS])
    x, y = x[shown].astype(np.float64), y[shown]

    def draw(axes: Any) -> None:
        for label in range(len(classes)):
            look = {
                "s": 20 if len(x) < 100 else 8,
                "alpha": 0.6,
                "linewidths": 0,
                "color": COLORS[label % len(COLORS)],
            }
            axes.scatter(*x[y == label].T, label=str(label), **look)
        axes.set(xlabel=names[0], ylabel=names[1])
        if len(classes) <= len(COLORS):
            # Afterwards, as Matplotlib leaves out what is labelled with an underscore in front.
            for text, name in zip(_legend_above(axes, 4).get_texts(), classes, strict=True):
                text.set_text(_shortened(name))

    return drawn("samples", "The samples, a colour a class", draw, HEIGHT + 0.5)


def _percents(value: float, _: Any = None) -> str:
    return f"{100 * value:.3g} %"


def _shortened(name: str) -> str:
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
