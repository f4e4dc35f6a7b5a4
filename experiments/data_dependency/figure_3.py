"""Decision boundaries between two moons, with mixing and without

The boundary is the set of points of the plane [-2, 2] x [-2, 2] where the class of a trained network changes.
"""

import numpy as np
from sklearn.linear_model import LogisticRegression

from experiments.data_dependency.common import PLAIN, SummingAdam, batches, error, layer, network, unmixed
from kmix_tf.analysis import two_moons
from kmix_tf.paired import AtMost, Claim, Experiment, More, Trainer

SIDE = 2.0
# Points a side at which the plane is asked, and every so many of which are kept for the figure.
FINE, COARSE = 160, 4
SUMS = ", sums of gradients"


def measure(seed, separations, alphas, summed, units, steps):
    """Boundaries by separation of the moons and way of mixing."""
    cells = {}
    mixings = {PLAIN: 0, **{_mixed(alpha): alpha for alpha in alphas}}
    trainers = {"": Trainer(lambda: network(2, units, 2)), SUMS: Trainer(lambda: network(2, units, 2), SummingAdam)}
    for separation in separations:
        moons = two_moons(300, separation, seed=seed)
        x, y = moons.x.astype(np.float32), moons.y.astype(np.int32)
        for name, alpha in mixings.items():
            mixing = layer(alpha, 2) if alpha else unmixed(2)
            for rule in ["", SUMS] if alpha in summed else [""]:
                trained = trainers[rule].run(batches(x, y, len(x), seed, mixing), steps, seed)
                cells[arm(separation, name + rule)] = _cells(trained, x, y)
    return cells


def _mixed(alpha):
    return f"alpha = {alpha:g}"


def arm(separation, mixing):
    return f"separation {separation:g}, {mixing}"


def _plane(points):
    along = np.linspace(-SIDE, SIDE, points, dtype=np.float32)
    return np.stack(np.meshgrid(along, along), axis=-1).reshape(-1, 2)


def _cells(model, x, y):
    plane = _plane(FINE)
    taken = np.asarray(model(plane)).argmax(axis=1)
    kept = taken.reshape(FINE, FINE)[COARSE // 2 :: COARSE, COARSE // 2 :: COARSE]
    margins = _margins(x, y, plane, taken)
    return {
        "error": error(model, x, y),
        "bend": _bend(plane, taken),
        "not by x": 100 * float(np.mean(taken != (plane[:, 0] < 0))),
        "least margin": margins.min(),
        "mean margin": margins.mean(),
        "plane": [np.packbits(kept.astype(bool)).tobytes().hex()],
    }


def _bend(plane, taken):
    """Percent of the plane that is on the wrong side of the straight line that agrees best."""
    if taken.min() == taken.max():
        return 0.0
    line = LogisticRegression(C=1e4, max_iter=1000).fit(plane[::7], taken[::7])
    return 100 * float(np.mean(line.predict(plane) != taken))


def _margins(x, y, plane, taken):
    """Of each sample, how far the nearest point of the plane is that is taken for the other class; at most 2."""
    found = np.full(len(x), SIDE)
    for label in np.flatnonzero(np.isin([0, 1], 1 - taken)):
        own, other = x[y == label], plane[taken != label]
        squares = np.square(own).sum(1)[:, None] + np.square(other).sum(1) - 2 * own @ other.T
        found[y == label] = np.sqrt(np.maximum(squares.min(axis=1), 0))
    return found


def _nearer(mixing):
    """An effect: how much more the boundary bends at the smaller separation, if both are measured."""
    return lambda cells: (
        cells.get(arm(0.1, mixing), cells[arm(0.5, mixing)])["bend"] - cells[arm(0.5, mixing)]["bend"]
    )


def draw(runs):
    from matplotlib import pyplot

    separations, alphas, summed = (runs.settings[name] for name in ("separations", "alphas", "summed"))
    mixings = [PLAIN, *map(_mixed, alphas), *(_mixed(alpha) + SUMS for alpha in summed)]
    per_row = (len(mixings) + 1) // 2
    size = (2.3 * per_row, 5.2 * len(separations))
    figure, rows = pyplot.subplots(2 * len(separations), per_row, figsize=size, layout="constrained")
    for axes in rows.flat:
        axes.set_axis_off()
    for number, separation in enumerate(separations):
        moons = two_moons(300, separation, seed=0)
        for axes, mixing in zip(rows[2 * number : 2 * number + 2].flat, mixings, strict=False):
            planes = [_drawn(cells[arm(separation, mixing)]["plane"][0]) for cells in runs.cells.values()]
            axes.imshow(
                np.mean(planes, 0), origin="lower", extent=[-SIDE, SIDE] * 2, cmap="PuOr", vmin=-0.5, vmax=1.5
            )
            axes.scatter(*moons.x.T, s=4, c=np.where(moons.y, "rebeccapurple", "saddlebrown"))
            axes.set_axis_on()
            axes.set_title(f"separation {separation:g}\n{mixing}", fontsize=9)
            axes.set(xticks=[-2, 0, 2], yticks=[-2, 0, 2])
    figure.suptitle("share of runs that take a point for class 1, from 0 (brown) to 1 (violet)")
    return figure


def _drawn(text):
    bits = np.unpackbits(np.frombuffer(bytes.fromhex(text), np.uint8))
    side = FINE // COARSE
    return bits[: side * side].reshape(side, side)


BASE, ONE, MANY = (arm(0.5, mixing) for mixing in (PLAIN, "alpha = 1", "alpha = 1024"))

EXPERIMENT = Experiment(
    name="data-dependency/figure-3",
    items="Figures 3, 10, 11, 12, 13, 14",
    title="Decision boundaries between two moons, with mixing and without",
    measure=measure,
    settings={
        "separations": [0.5, 0.1], "alphas": [1, 32, 64, 128, 512, 1024], "summed": [1, 1024], "units": 500,
        "steps": 1500,
    },
    quick={"separations": [0.5], "alphas": [1, 1024], "steps": 50},
    seeds=10,
    claims=[
        Claim("without mixing, the classes are told apart by x alone: but for 5 % of the plane",
              AtMost("not by x", BASE, 5.0), "a figure", unit="% of the plane"),
        Claim("mixup's boundary is less straight than that without mixing: alpha = 1",
              More("bend", ONE, BASE), "a figure", unit="% of the plane"),
        Claim("mixup's boundary is less straight than that without mixing: alpha = 1024",
              More("bend", MANY, BASE), "a figure", unit="% of the plane"),
        Claim("mixup's boundary leaves more room around the samples than that without mixing: alpha = 1",
              More("mean margin", ONE, BASE), unit=""),
        Claim("mixup's boundary leaves more room around the samples than that without mixing: alpha = 1024",
              More("mean margin", MANY, BASE), unit=""),
        Claim("without mixing, the boundary bends more between moons that are nearer: separation 0.1 against 0.5",
              _nearer(PLAIN), "a figure", unit="% of the plane"),
        Claim("sums of gradients, as the authors' loop for mixup has them, bend mixup's boundary more: alpha = 1",
              More("bend", ONE + SUMS, ONE), unit="% of the plane", ours=True),
        Claim("sums of gradients, as the authors' loop for mixup has them, bend mixup's boundary more: alpha = 1024",
              More("bend", MANY + SUMS, MANY), unit="% of the plane", ours=True),
    ],
    draw=draw,
    notes="""bend: the part of the plane, in percent, on the wrong side of the straight line that agrees best with
the network. not by x: the part that is not classified by the sign of the first coordinate. Margins: how far
samples are from the nearest point of the plane that is taken for the other class, at least and in the mean.

The text says 1,500 epochs of full batches, as here, the published code 1,000. That code sets gradients to
zero before each step for the base model, but not in the loop that trains the mixup models: Adam is there
given the sum of all gradients so far. The arms "sums of gradients" do the same; all others train mixup as it
is meant. The paper's Figure 3 at alpha = 1, where the boundary winds around both moons, looks like the arm
with sums of gradients, and not like mixup as it is meant.""",
)  # fmt: skip
