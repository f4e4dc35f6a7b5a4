"""The report's figures, each an SVG made of the report's numbers."""

from typing import Any

import numpy as np

from kmix_tf.cli.audit.report.svg import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    Axis,
    Chart,
    linear_axis,
    log_axis,
    rows_of_bars,
)
from kmix_tf.cli.audit.report.words import number, percent

# More classes than this have no room for names.
NAMED = 24
_POINTS = 1500
_COLORS = (BLUE, ORANGE, GREEN, "#7a4fa3", "#b8405e", "#8a6d1f", "#3b8ea5", "#5c6670")


def balance(measures: dict[str, Any]) -> str:
    """How many samples each class has; the largest and smallest of many."""
    classes = sorted(measures["balance"]["classes"], key=lambda row: -row["samples"])
    half = NAMED // 2
    shown = classes if len(classes) <= NAMED else classes[:half] + classes[-half:]
    rows = [(row["class"], row["samples"], f"{row['samples']:,} ({percent(row['share'])})") for row in shown]
    return rows_of_bars(rows, BLUE, "Samples of each class")


def distances(measures: dict[str, Any]) -> str:
    """Distances of pairs within and between classes, and epsilon."""
    found = measures["locality"]
    same, other = (np.array(found[name]) / max(sum(found[name]), 1) for name in ("same", "other"))
    edges = found["edges"]
    across = linear_axis(edges[-1], "distance of a pair")
    up = linear_axis(max(same.max(), other.max()), "share of pairs", percent=True)
    chart = Chart(across, up, "Histograms of distances within and between classes")
    chart.steps(edges, same.tolist(), BLUE, "one class")
    chart.steps(edges, other.tolist(), ORANGE, "two classes")
    chart.rule(found["epsilon"], f"epsilon = {number(found['epsilon'])}")
    return str(chart)


def crossing(measures: dict[str, Any]) -> str:
    """The share of matches across classes against k."""
    rows = measures["matching"]["by_k"]
    most = max(row["cross_share"] for row in rows)
    chart = Chart(
        log_axis([row["k"] for row in rows], "k"),
        linear_axis(most, "matches across classes", percent=True),
        "Matches that join different classes, against k",
    )
    chart.line([(row["k"], row["cross_share"]) for row in rows], BLUE, "these data")
    chart.line([(row["k"], row["least_share"]) for row in rows], GREY, "least possible", dashed=True)
    return str(chart)


def cost(measures: dict[str, Any]) -> str:
    """The distance of matched pairs against k."""
    rows = measures["matching"]["by_k"]
    chart = Chart(
        log_axis([row["k"] for row in rows], "k"),
        linear_axis(max(row["distance"] for row in rows), "root mean squared distance"),
        "Distance of matched pairs, against k",
    )
    chart.line([(row["k"], row["distance"]) for row in rows], BLUE, "matched pairs")
    return str(chart)


def alphas(measures: dict[str, Any]) -> str:
    """alpha_k against k, on doublings, for alphas of plain mixup that common use takes."""
    rows = measures["matching"]["by_k"]
    lines = {}
    for place, color in ((0, GREEN), (1, BLUE)):
        points = [(row["k"], row["alphas"][place]["alpha_k"]) for row in rows]
        reached = [(k, alpha) for k, alpha in points if alpha is not None and alpha < 1000]
        if reached:
            lines[f"as mixup at {rows[0]['alphas'][place]['alpha']:g}"] = reached, color
    values = [alpha for points, _ in lines.values() for _, alpha in points]
    low, high = (int(np.floor(np.log2(min(values)))), int(np.ceil(np.log2(max(values)))))
    low, high = (low, high) if low < high else (low - 1, high + 1)
    step = max(1, (high - low) // 5)
    ticks = [(2.0**power, f"{2.0**power:.3g}") for power in range(low, high + 1, step)]
    up = Axis(2.0**low, 2.0**high, ticks, "alpha of k-mixup", log=True)
    chart = Chart(log_axis([row["k"] for row in rows], "k"), up, "Alpha that perturbs as much as plain mixup")
    for name, (points, color) in lines.items():
        chart.line(points, color, name)
    return str(chart)


def harm(measures: dict[str, Any]) -> str:
    """Contradicted labels and conflicts at each alpha."""
    first, second = measures["contradictions"]["by_alpha"], measures["conflicts"]["by_alpha"]
    baseline = measures["closeness"]["nearest_is_other"]
    shares = [row["share"] or 0 for row in (*first, *second)]
    ticks = [(i + 0.5, f"alpha = {row['alpha']:g}") for i, row in enumerate(first)]
    up = linear_axis(max(*shares, baseline, 0.05), "share", percent=True)
    chart = Chart(Axis(0, len(first), ticks, ""), up, "Contradicted labels and conflicts, by alpha")
    for i, (contradicted, conflict) in enumerate(zip(first, second, strict=True)):
        chart.bar(i + 0.2, i + 0.48, contradicted["share"] or 0, ORANGE)
        chart.bar(i + 0.52, i + 0.8, conflict["share"], BLUE)
    chart.key(ORANGE, "contradicted")
    chart.key(BLUE, "in conflict")
    chart.line([(0, baseline), (len(first), baseline)], GREY, "unmixed", dashed=True)
    return str(chart)


def scatter(x: np.ndarray, y: np.ndarray, classes: list[str], seed: int) -> str:
    """Samples of two features, a colour a class."""
    shown = np.sort(np.random.default_rng([seed, 4]).permutation(len(x))[:_POINTS])
    x, y = x[shown].astype(np.float64), y[shown]
    axes = [linear_axis(float(x[:, i].max()), f"feature {i + 1}", float(x[:, i].min())) for i in (0, 1)]
    chart = Chart(*axes, "The samples", height=300)
    for label in range(len(classes)):
        color = _COLORS[label % len(_COLORS)]
        chart.points(x[y == label].tolist(), color, 3.0 if len(x) < 100 else 2.0)
        if len(classes) <= 5:
            chart.key(color, classes[label][:10])
    return str(chart)
