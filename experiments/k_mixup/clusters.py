"""Matches across clusters: how many there are, and where they begin and end

Lemma 3.3, Theorem 3.4 and Theorem 3.5, on random groups of points of round clusters.
"""

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from experiments.k_mixup.common import shaded
from kmix_tf.analysis import cross_match_bound, cross_match_limits
from kmix_tf.paired import AtLeast, Claim, Experiment, More

# Discs of radius 1 in a row, their middles 4 apart: gaps are as wide as discs, the least that Lemma 3.3 asks for.
_APART, _GAP = 4.0, 2.0


def measure(seed, clusters, ks, trials):
    """Of groups of k: shares of matches across, how they compare with the lemma, and where their ends are."""
    cells = {}
    for count in clusters:
        for k in ks:
            generator = np.random.default_rng([seed, count, k])
            draws = [_matched(generator, count, k) for _ in range(max(8, trials // k))]
            cells[named(count, k)] = _numbers(draws, count, k)
    return cells


def named(count, k):
    return f"{count} clusters, k = {k}"


def _matched(generator, count, k):
    """Clusters `(2, k)` and points `(2, k, 2)` of two groups, the second in the order of its matches."""
    cluster = generator.integers(count, size=(2, k))
    radius, angle = np.sqrt(generator.random((2, k))), 2 * np.pi * generator.random((2, k))
    points = np.stack([_APART * cluster + radius * np.cos(angle), radius * np.sin(angle)], axis=-1)
    order = linear_sum_assignment(cdist(points[0], points[1], "sqeuclidean"))[1]
    cluster[1], points[1] = cluster[1][order], points[1][order]
    return cluster, points


def _numbers(draws, count, k):
    across = np.array([np.sum(cluster[0] != cluster[1]) for cluster, _ in draws])
    sizes = np.array([[np.bincount(group, minlength=count) for group in cluster] for cluster, _ in draws])
    limits = cross_match_limits(sizes[:, 0], sizes[:, 1])
    bound = cross_match_bound(np.full(count, 1 / count), k)
    is_near = np.concatenate([_ends_are_near(*draw) for draw in draws])
    return {
        "matches across": 100 * float(across.mean() / k),
        "number of them": float(across.mean()),
        "least, expected": 100 * bound.least,
        "the paper's rate": 100 * bound.rate,
        "groups unlike the lemma": 100 * float(np.mean(across != limits.least)),
        "groups beyond its correction": 100 * float(np.mean((across < limits.least) | (across > limits.most))),
        **({"both ends near": 100 * float(is_near.mean())} if len(is_near) and count == 2 else {}),
    }


def _ends_are_near(cluster, points):
    """Of the matches across two clusters: whether each end is within (1 + epsilon) D of the other cluster."""
    is_across = cluster[0] != cluster[1]
    other = np.stack([_APART * (1 - cluster), np.zeros_like(cluster, dtype=float)], axis=-1)
    away = np.linalg.norm(points - other, axis=-1) - 1
    epsilon = 1 / _GAP**2
    return (away < (1 + epsilon) * _GAP).all(axis=0)[is_across]


def draw(runs):
    from matplotlib import pyplot

    ks = runs.settings["ks"]
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4), layout="constrained")
    for colour, count in enumerate(runs.settings["clusters"]):
        shares, least, rate = (
            np.stack([runs.values(named(count, k), measured) for k in ks], axis=1)
            for measured in ("matches across", "least, expected", "the paper's rate")
        )
        shaded(left, ks, shares, label=f"{count} clusters", marker="o", color=f"C{colour}")
        left.plot(ks, least[0], linestyle="--", color=f"C{colour}", label="least possible")
        left.plot(ks, rate[0], linestyle=":", color=f"C{colour}", label="the paper's rate")
    left.set(ylabel="matches across clusters, %", yscale="log")
    near = np.stack([runs.values(named(2, k), "both ends near") for k in ks], axis=1)
    shaded(right, ks, near, marker="o")
    right.set(ylabel="both ends in the parts facing the other cluster, %", ylim=(0, 103))
    for axes in (left, right):
        axes.set_xscale("log", base=2)
        axes.set_xticks(ks, [str(k) for k in ks])
        axes.set_xlabel("k")
    left.legend(fontsize=8)
    return figure


def _slope(count):
    """Minus the exponent with which the share falls from k = 4 to 256."""
    shares = [named(count, k) for k in (4, 256)]
    return lambda cells: float(
        np.log(cells[shares[0]]["matches across"] / cells[shares[1]]["matches across"]) / np.log(64)
    )


def _unlike(count, measured):
    return lambda cells: -max(row[measured] for arm, row in cells.items() if arm.startswith(f"{count} clusters"))


def claims():
    found = [
        Claim("two clusters: in every group the number of matches across is that of Lemma 3.3",
              _unlike(2, "groups unlike the lemma"), above=-1e-9, unit="points of groups", is_exact=True),
        Claim("four clusters: in every group the number of matches across is that of Lemma 3.3",
              _unlike(4, "groups unlike the lemma"), above=-1e-9, unit="points of groups", is_exact=True),
        Claim("four clusters: matches across a group are at least Lemma 3.3's number, at most m - 1 times it",
              _unlike(4, "groups beyond its correction"), above=-1e-9, unit="points of groups", is_exact=True,
              ours=True),
    ]  # fmt: skip
    for count in (2, 4):
        few, many = named(count, 4), named(count, 256)
        found += [
            Claim(f"{count} clusters: the share of matches across falls as k to the -1/2: exponent above 0.45",
                  _slope(count), "1/2", above=0.45, unit=""),
            Claim(f"{count} clusters: the number of matches across still grows with k",
                  More("number of them", many, few), unit="matches"),
            Claim(f"{count} clusters, k = 256: the share of matches across is below Theorem 3.4's rate, O() as 1",
                  lambda cells, many=many: cells[many]["the paper's rate"] - cells[many]["matches across"],
                  unit="points of matches"),
        ]  # fmt: skip
    return [
        *found,
        Claim("for large k nearly all matches across begin and end in the facing parts, above 95 % (k = 1024)",
              AtLeast("both ends near", named(2, 1024), 95.0), unit="points of matches"),
        Claim("with k = 1024 matches across begin and end in the facing parts more often than with k = 1",
              More("both ends near", named(2, 1024), named(2, 1)),
              unit="points of matches"),
    ]  # fmt: skip


EXPERIMENT = Experiment(
    name="k-mixup/clusters",
    items="Lemma 3.3, Theorem 3.4, Theorem 3.5",
    title="Matches across clusters: how many there are, and where they begin and end",
    measure=measure,
    settings={"clusters": [2, 4], "ks": [1, 4, 16, 64, 256, 1024], "trials": 4096},
    quick={"trials": 64},
    seeds=10,
    claims=claims(),
    draw=draw,
    notes="""
Clusters are discs of radius 1 in a row, evenly filled and equally likely, with gaps as wide as they are: the least
that Lemma 3.3 asks for. Shares are in percent of matches, or of pairs of groups. "Least, expected" is the mean of
Lemma 3.3's number over random groups, computed exactly, "the paper's rate" is sum sqrt(p (1 - p)) / sqrt(2 k).
Exponents are from k = 4 to 256; with four clusters matches there still go from their least to several times it.
Lemma 3.3 is false for three or more clusters: {0, 4} and {4, 8}, of three clusters in a row, have two matches across
(16 + 16 rather than 64 + 0), and the lemma says one. "Both ends near" is of two clusters: matches across whose ends
are both within (1 + epsilon) D of the other cluster, epsilon = R^2 / D^2 = 1/4, as in Theorem 3.5.
""",
)  # fmt: skip
