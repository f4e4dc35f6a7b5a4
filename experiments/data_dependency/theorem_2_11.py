"""Midpoints of all pairs determine the points, from six on; of four they never do

The midpoints come in random order: nobody says of which pair each one is. All sets of points that have them are
searched.
"""

import itertools

import numpy as np
from sklearn.datasets import load_digits

from kmix_tf.paired import AtLeast, AtMost, Claim, Experiment

DIGITS = "digits: 64 pixels and labels"
# Numbers below 16 with an even number of binary ones: the others among them have the same sums of pairs.
EIGHT = [value for value in range(16) if value.bit_count() % 2 == 0]
EXCEPTION, MOVED = "8 points, chosen against it", "8 points, those moved by 0.001"


def measure(seed, sizes, digits):
    """How many sets of points have the midpoints, and how far the nearest of them is from the points."""
    generator = np.random.default_rng(seed)
    cells = {arm(size): _found(generator.normal(size=(size, 2)), generator) for size in sizes}
    eight = np.float64(EIGHT)[:, None]
    cells[EXCEPTION] = _found(eight, generator)
    cells[MOVED] = _found(eight + 1e-3 * generator.normal(size=(8, 1)), generator)
    x, y = load_digits(return_X_y=True)
    chosen = generator.choice(len(x), digits, replace=False)
    cells[DIGITS] = _found(x[chosen], generator, y[chosen])
    return cells


def arm(size):
    return f"{size} points of the plane"


def _found(points, generator, labels=None):
    labelled = points if labels is None else np.hstack([points, 10.0 * np.eye(10)[labels]])
    pairs = np.array(list(itertools.combinations(range(len(points)), 2)))
    midpoints = generator.permutation(labelled[pairs].mean(axis=1))
    sets = points_of(midpoints, len(points), generator.normal(size=labelled.shape[1]))
    apart = [np.sqrt(np.square(one[:, None] - labelled).sum(-1)).min(axis=0).max() for one in sets]
    return {"sets": len(sets), "nearest": min(apart), "farthest": max(apart)}


def points_of(midpoints, size, direction):
    """All sets of points `(size, d)` that have these midpoints `(size (size - 1) / 2, d)`, in any order.

    Along a direction the least two sums are those of the first point with the second and the third; the sum of the
    second and the third is one of the next size - 2. Each guess leaves no choice: the least sum not yet accounted for
    is of the first point with the next one, whose sums with all others must be there.
    """
    sums = 2 * midpoints
    along = sums @ direction
    order = np.argsort(along)
    guesses = [_arranged(along[order], size, guess) for guess in range(2, max(size, 3))]
    found = [_solved(sums[order], indices) for indices in guesses if indices is not None]
    distinct = []
    for one in found:
        if not any(np.allclose(np.sort(one @ direction), np.sort(other @ direction)) for other in distinct):
            distinct.append(one)
    return distinct


def _arranged(values, size, guess):
    """Which of the sorted sums is of which pair, `(size, size)`; None if the guess leads nowhere."""
    first = (values[0] + values[1] - values[guess]) / 2
    points, free = [first, values[0] - first, values[1] - first], np.ones(len(values), bool)
    indices = np.zeros((size, size), np.int64)
    for (i, j), index in {(0, 1): 0, (0, 2): 1, (1, 2): guess}.items():
        indices[i, j], free[index] = index, False
    for new in range(3, size):
        points.append(values[free.argmax()] - first)
        for old in range(new):
            index = _index_of(values, free, points[old] + points[new])
            if index is None:
                return None
            indices[old, new], free[index] = index, False
    return indices


def _index_of(values, free, value):
    close = 1e-9 * max(abs(values[0]), abs(values[-1]))
    low, high = np.searchsorted(values, [value - close, value + close])
    found = low + np.flatnonzero(free[low:high])
    return found[0] if len(found) else None


def _solved(sums, indices):
    """The points, of the sums of their pairs."""
    size = len(indices)
    first, second = np.triu_indices(size, 1)
    of_points = np.zeros((size, sums.shape[1]))
    np.add.at(of_points, first, sums[indices[first, second]])
    np.add.at(of_points, second, sums[indices[first, second]])
    return (of_points - of_points.sum(axis=0) / (2 * (size - 1))) / (size - 2)


def draw(runs):
    from matplotlib import pyplot

    generator = np.random.default_rng(0)
    figure, panels = pyplot.subplots(1, 2, figsize=(10, 4.6), layout="constrained")
    for axes, size in zip(panels, (4, 6), strict=True):
        points = generator.normal(size=(size, 2))
        pairs = np.array(list(itertools.combinations(range(size), 2)))
        midpoints = points[pairs].mean(axis=1)
        for number, one in enumerate(points_of(midpoints, size, generator.normal(size=2))):
            axes.plot(*one.T, "sD"[number], markersize=11, markerfacecolor="none", label=f"set {number + 1}, found")
        axes.plot(*points.T, "k.", label="points")
        axes.plot(*midpoints.T, "x", label="midpoints")
        axes.set(title=f"{size} points", aspect="equal", xlabel="first coordinate", ylabel="second coordinate")
        axes.legend()
    return figure


SIZES = [3, 4, 5, 6, 7, 8, 16, 40]

EXPERIMENT = Experiment(
    name="data-dependency/theorem-2-11",
    items="Theorem 2.11",
    title="Midpoints of all pairs determine the points, from six on; of four they never do",
    measure=measure,
    settings={"sizes": SIZES, "digits": 100},
    quick={"digits": 20},
    seeds=10,
    claims=[
        *(
            Claim(f"midpoints of {size} points drawn at random are those of one set, no other",
                  AtMost("sets", arm(size), 1.5), "one", is_exact=True, unit="")
            for size in SIZES if size >= 6
        ),
        Claim("100 digits are found again from their midpoints, each to 1e-6 of a pixel's 16 grey levels",
              AtMost("farthest", DIGITS, 1e-6), "the points and their labels", is_exact=True, unit=""),
        Claim("four points never are determined by their midpoints: there are two sets",
              AtLeast("sets", arm(4), 1.5), is_exact=True, unit="", ours=True),
        Claim("three points are determined by their midpoints", AtMost("sets", arm(3), 1.5), is_exact=True, unit="",
              ours=True),
        Claim("five points are determined by their midpoints", AtMost("sets", arm(5), 1.5), is_exact=True, unit="",
              ours=True),
        Claim("there are eight numbers that midpoints do not determine: three sets have those of our choice",
              AtLeast("sets", EXCEPTION, 2.5), is_exact=True, unit="", ours=True),
    ],
    draw=draw,
    notes="""sets: how many sets of points have these midpoints; nearest and farthest: the largest distance of a
point from the nearest one of the set that fits best, and worst. Four points x and their reflections m - x at
twice their mean, m, have the same midpoints in any dimension: the sum of two of them is m less the sum of the
other two. That a set is determined by its sums of pairs unless its size is a power of two is due to Selfridge
and Straus (1958): it covers three, five and six; the paper's Lemma C.1 is proved from seven on, its theorem
says from six. Among 8 and 16 there are exceptions, such as the numbers below 16 with an even number of binary
ones against the others, but they have probability 0: moved a little, they are determined. Labels are
recovered with the points, as further coordinates.""",
)  # fmt: skip
