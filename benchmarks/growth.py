"""How a mix' cost grows with k, the number of features, and the batch; fitted, and drawn.

    python benchmarks/growth.py                    # the tables on the terminal
    python benchmarks/growth.py --write            # also into benchmarks/growth.md, growth.json and growth.png

Time per batch of `dataset.map(KMixupLayer(k))` on tables of n rows and d columns, with the assignment on the host.
Models are fitted to times per batch by least squares of the relative error, with factors that are not negative, where
there is anything to match: k = 1 is measured, but not fitted.
"""

import pathlib
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import harness
import mix_cost
import numpy as np
import tensorflow as tf
from scipy.optimize import nnls

from kmix_tf import KMixupLayer

TITLE = "How a mix' cost grows"
# One of three grows, the others stay at these.
K, FEATURES, BATCH = 16, 3072, 256
AXES: dict[str, Sequence[int]] = {
    "k": (1, 2, 4, 8, 16, 32, 64, 128),
    "features": (10, 30, 100, 300, 1000, 3000, 10_000, 30_000, 150_000),
    "batch": (32, 64, 128, 256, 512, 1024, 2048, 4096),
}
# Further ones, in which two are large.
CORNERS = ((128, 10, 4096), (128, 10, 256), (64, 100, 2048), (32, 30_000, 64), (128, 30_000, 256), (1, 150_000, 64))
QUICK: dict[str, Sequence[int]] = {"k": (2, 4), "features": (4, 8), "batch": (32, 64)}

Terms = Mapping[str, Callable[[float, float, float], float]]
MODELS: dict[str, Terms] = {
    "a + b k d + c k^3": {"a": lambda k, d, n: 1, "b": lambda k, d, n: k * d, "c": lambda k, d, n: k**3},
    "a + b k d n + c k^2 n": {
        "a": lambda k, d, n: 1,
        "b": lambda k, d, n: k * d * n,
        "c": lambda k, d, n: k**2 * n,
    },
    "a + b k d n + c k^2 n + e d n + f n": {
        "a": lambda k, d, n: 1,
        "b": lambda k, d, n: k * d * n,
        "c": lambda k, d, n: k**2 * n,
        "e": lambda k, d, n: d * n,
        "f": lambda k, d, n: n,
    },
}


def sizes(quick: bool) -> list[tuple[int, int, int]]:
    """k, features and batch of all that is measured."""
    axes = QUICK if quick else AXES
    middle = (4, 8, 32) if quick else (K, FEATURES, BATCH)
    found = [(each, *middle[1:]) for each in axes["k"]]
    found += [(middle[0], each, middle[2]) for each in axes["features"]]
    found += [(*middle[:2], each) for each in axes["batch"]]
    return list(dict.fromkeys([*found, *(() if quick else CORNERS)]))


def contestant(k: int, features: int, batch: int) -> tuple[Callable[[], None], int]:
    """A call of so many batches."""
    x = tf.random.stateless_normal([batch, features], (1, 2))
    y = tf.one_hot(tf.range(batch) % 10, 10)
    layer = tf.autograph.experimental.do_not_convert(KMixupLayer(k, **mix_cost.EXACT))
    iterator = iter(harness.sequential(tf.data.Dataset.from_tensors((x, y)).repeat().map(layer)))
    harness.batches(iterator, 1)()
    number = harness.affordable(harness.batches(iterator, 1), 0.02)
    return harness.batches(iterator, number), number


def fitted(points: Sequence[Sequence[float]], terms: Terms) -> dict[str, Any]:
    """Factors of the terms, R^2 of times and of their logarithms, and each point's relative residual.

    Args:
        points: k, features, batch and milliseconds of each.
    """
    values = np.array([[term(*point[:3]) for term in terms.values()] for point in points], float)
    times = np.array([point[3] for point in points])
    scale = values.max(0)
    factors = nnls(values / scale / times[:, None], np.ones(len(times)))[0] / scale
    guess = values @ factors
    return {
        "factors": dict(zip(terms, factors.tolist(), strict=True)),
        "r2": _r2(times, guess),
        "r2_of_logarithms": _r2(np.log(times), np.log(np.maximum(guess, 1e-9))),
        "residuals": (guess / times - 1).tolist(),
    }


def _r2(values: np.ndarray, guess: np.ndarray) -> float:
    return float(1 - np.square(values - guess).sum() / np.square(values - values.mean()).sum())


def measure(quick: bool, rounds: int | None) -> dict[str, Any]:
    """Points, `[k, features, batch, ms]`, and each model fitted to them."""
    made = {size: contestant(*size) for size in sizes(quick)}
    calls = {str(size): call for size, (call, _) in made.items()}
    times = harness.interleaved(calls, rounds or (2 if quick else 9), "growth", 0.0 if quick else 1.0)
    points = [[*size, float(np.median(times[str(size)])) / number] for size, (_, number) in made.items()]
    matched = [point for point in points if point[0] > 1]
    found = {"points": points, "models": {name: fitted(matched, terms) for name, terms in MODELS.items()}}
    if "--write" in sys.argv:
        draw(found, harness.HERE / "growth.png")
    return found


def best(results: Mapping[str, Any]) -> str:
    """The model that fits best, by the logarithms of times."""
    return max(results["models"], key=lambda name: results["models"][name]["r2_of_logarithms"])


def draw(results: Mapping[str, Any], path: pathlib.Path) -> None:
    """Measured times and the models' along each axis."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, 3, figsize=(12, 4), sharey=True, layout="constrained")
    middle = (K, FEATURES, BATCH)
    for axis, (name, panel) in enumerate(zip(AXES, panels, strict=True)):
        there = sorted(
            (point[axis], point[3])
            for point in results["points"]
            if all(point[other] == middle[other] for other in range(3) if other != axis)
        )
        across = np.geomspace(there[0][0], there[-1][0], 100)
        panel.plot(*zip(*there, strict=True), "o", color="black", label="measured")
        for model, terms in MODELS.items():
            factors = results["models"][model]["factors"].values()
            line = [_guess(terms, factors, [*middle[:axis], each, *middle[axis + 1 :]]) for each in across]
            panel.plot(across, line, label=model)
        panel.set(xscale="log", yscale="log", xlabel=name)
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("ms per batch")
    panels[0].legend(fontsize=8)
    figure.suptitle(f"KMixupLayer(k): k = {K}, {FEATURES:,} features, batches of {BATCH}, but for the axis")
    figure.savefig(path, dpi=100)
    plt.close(figure)


def _guess(terms: Terms, factors: Any, size: Sequence[float]) -> float:
    return sum(factor * term(*size) for factor, term in zip(factors, terms.values(), strict=True))


def markdown(results: dict[str, Any]) -> str:
    models = results["models"]
    header = ["model", "R^2 of log time", "R^2 of time", "largest relative residual", "factors, ms"]
    rows = []
    for name, found in models.items():
        factors = ", ".join(f"{key} = {value:.2e}" for key, value in found["factors"].items())
        worst = max(found["residuals"], key=abs)
        rows.append([name, f"{found['r2_of_logarithms']:.3f}", f"{found['r2']:.3f}", f"{worst:+.0%}", factors])
    fit = best(results)
    left = iter(models[fit]["residuals"])
    measured = [
        [f"{k:,}", f"{d:,}", f"{n:,}", f"{ms:.2f}", f"{next(left):+.0%}" if k > 1 else ""]
        for k, d, n, ms in results["points"]
    ]
    return (
        f"Time per batch of n rows and d columns. `{fit}` fits best; k = 1 matches nothing, and is "
        f"not fitted.\n\n{harness.table(header, rows)}\n\n"
        "![times along k, features and batch](growth.png)\n\n"
        + harness.table(["k", "features d", "batch n", "ms", f"residual of {fit}"], measured)
    )


harness.main(__name__, __doc__)
