"""Where no segment of other classes comes near, mixup keeps the labels: the paper's assumptions on data

Exact computations with the mixup-optimal classifier; what is random are the samples and the points that are asked.
"""

import numpy as np
from sklearn import datasets

from experiments.data_dependency.table_2 import standard
from kmix_tf.analysis import alternating_line, contradicted, mixup_optimal_classifier, two_moons
from kmix_tf.analysis.chords import ball_around
from kmix_tf.analysis.optimal_classifier import chords_of
from kmix_tf.analysis.segments import squared_distances, squares_to_points
from kmix_tf.paired import AtLeast, AtMost, Claim, Experiment

# Fulfils Assumption 2.9 at all its samples; one of class 0 lies between the other of its class and class 1.
BETWEEN = np.array([[0.0], [0.9], [1.0]]), np.array([0, 0, 1])
AT, BESIDE = "0 and 0.9 against 1, at 0.9", "0 and 0.9 against 1, beside 0.9"


def measure(seed, samples, probes, radius, alpha):
    """By data, how near segments of other classes come to samples, and what is said where the assumptions hold."""
    generator = np.random.default_rng(seed)
    cells = {}
    for name, (x, y) in _data(seed, samples).items():
        nearest, other = segment_distances(x, y), _nearest_other(x, y)
        cells[name] = {
            "segment, least": nearest.min(), "segment, median": np.median(nearest),
            "sample, least": other.min(), "sample, median": np.median(other),
            "labels contradicted": _contradicted(x, y, alpha, nearest / 2),
            **_probed(x, y, generator, probes, radius * other.min(), alpha),
        }  # fmt: skip
    for name, place in {AT: 0.9, BESIDE: 0.9 - 2e-4}.items():
        cells[name] = {"class 1": mixup_optimal_classifier(*BETWEEN, [[place]], 32.0, 1e-4)[0, 0]}
    return cells


def _data(seed, samples):
    digits = datasets.load_digits(return_X_y=True)
    chosen = np.random.default_rng(seed).choice(len(digits[0]), samples, replace=False)
    iris = datasets.load_iris(return_X_y=True)
    return {
        "line of ten": alternating_line(10),
        "moons, separation 0.5": two_moons(samples // 2, 0.5, seed=seed),
        "moons, separation 0.1": two_moons(samples // 2, 0.1, seed=seed),
        "iris": (standard(iris[0], "iris"), iris[1]),
        "digits": (standard(digits[0], "digits")[chosen], digits[1][chosen]),
    }


def _nearest_other(x, y):
    squares = squared_distances(x, x)
    squares[y[:, None] == y] = np.inf
    return np.sqrt(np.maximum(squares.min(axis=1), 0))


def segment_distances(x, y):
    """Of each sample, to the nearest segment between two samples of other classes than its own: the most that the
    epsilon of Assumption 2.9 can be there."""
    found, squares = np.empty(len(x)), squared_distances(x, x)
    for index in range(len(x)):
        others = np.flatnonzero(y != y[index])
        first, second = (others[each] for each in np.triu_indices(len(others), 1))
        lengths = squares[first, second]
        proper = lengths > 1e-12
        first, second, lengths = first[proper], second[proper], lengths[proper]
        found[index] = squares_to_points(squares[index, first], squares[index, second], lengths).min()
    return np.sqrt(np.maximum(found, 0))


def _contradicted(x, y, alpha, radii):
    """In percent, of samples that no segment of other classes meets."""
    radii = np.where(radii > 1e-6, radii, 0)
    return 100 * contradicted(x, y, alpha, radii).share if radii.any() else 100.0


def _probed(x, y, generator, count, radius, alpha):
    """Points nearer to the one end of a segment between two classes: is the class of that end predicted there?"""
    first = generator.integers(len(x), size=count)
    second = np.array([generator.choice(np.flatnonzero(y != y[index])) for index in first])
    share = generator.uniform(0.5, 1, (count, 1))
    points = share * x[first] + (1 - share) * x[second]
    held = [fulfils(point, x, y, y[index], radius) for point, index in zip(points, first, strict=True)]
    points, classes = points[held], y[first][held]
    if not len(points):
        return {"probes that fulfil both": 0, "of these contradicted": 0}
    predicted = mixup_optimal_classifier(x, y, points, alpha, radius)
    apart = [
        np.sqrt(squared_distances(point[None], x[y == label]).min())
        for point, label in zip(points, classes, strict=True)
    ]
    return {
        "probes that fulfil both": 100 * len(points) / count,
        "of these contradicted": 100 * float(np.mean(predicted.argmax(axis=1) != classes)),
        "least probability": predicted[np.arange(len(points)), classes].min(),
        "farthest, in halves": max(apart) / (_nearest_other(x, y).min() / 2),
    }


def fulfils(point, x, y, label, radius):
    """Whether Assumptions 2.9 and 3.1 hold at a point for a class, with this epsilon: all segments that come so near
    have an end of the class, and those to another class are all through nearer to that end."""
    ball = ball_around(point, x, radius)
    if (y[ball.inside] != label).any():
        return False
    for chords in chords_of(ball):
        own, other = y[chords.first] == label, y[chords.second] == label
        if not (own | other).all() or not (chords.low[own & ~other] > 0.5).all():
            return False
        if not (chords.high_rest[other & ~own] > 0.5).all():
            return False
    return True


def _jump(cells):
    """An effect: how much less than 0.1 the probability changes beside a sample."""
    return 0.1 - abs(cells[AT]["class 1"] - cells[BESIDE]["class 1"])


NAMES = list(_data(0, 4))

EXPERIMENT = Experiment(
    name="data-dependency/theorem-3-2",
    items="Assumptions 2.9 and 3.1, Theorems 2.10 and 3.2",
    title="Where no segment of other classes comes near, mixup keeps the labels: the paper's assumptions on data",
    measure=measure,
    settings={"samples": 200, "probes": 300, "radius": 0.02, "alpha": 32.0},
    quick={"samples": 60, "probes": 60},
    seeds=10,
    claims=[
        *(
            Claim(f"{name}: no point that fulfils both assumptions is given to another class",
                  AtMost("of these contradicted", name, 1e-9), "0", is_exact=True, unit="%")
            for name in NAMES
        ),
        Claim("the line of ten does not fulfil Assumption 2.9: a segment meets some sample",
              AtMost("segment, least", "line of ten", 1e-9), "0", is_exact=True, unit=""),
        *(
            Claim(f"data that are not made for it fulfil Assumption 2.9: {name}",
                  AtLeast("segment, least", name, 0.0), "above 0", unit="")
            for name in NAMES[1:]
        ),
        Claim("where all samples fulfil Assumption 2.9, the classifier is continuous at them: 0.9, between 0 of "
              "its class and 1 of another, a step of 2e-4 changes the probability by less than 0.1",
              _jump, "no jump", is_exact=True, unit=""),
    ],
    notes="""segment: the distance of samples from the nearest segment between two samples of other classes, at
which Assumption 2.9 ends; sample: from the nearest sample of another class. labels contradicted: the part of
the samples, in percent, whose label the mixup-optimal classifier contradicts with balls of half that size,
samples on segments left out. Probes are points of segments between two classes, nearer to one of them; balls
around them have a radius of 0.02 of the least distance of two classes. farthest: how far from its class a
probe is that fulfils both, in halves of that distance; the paper says up to 1.

Theorem 2.10 asks for Assumption 2.9 alone, since Assumption 3.1 is "easily seen" to hold at samples. It does
not at a sample that lies between one of its own class and one of another: 0 and 0.9 of class 1, and 1 of
class 2, fulfil Assumption 2.9, and just beside 0.9 the segment from 0 to 1 says class 2. Theorem 3.2, which
asks for both, stands.""",
)  # fmt: skip
