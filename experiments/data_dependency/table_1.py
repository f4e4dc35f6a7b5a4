"""Mixup fails on three points of alternating classes on a line

Each step takes the whole data set, every point with a partner. In the paper a point may be its own partner; with our
default it may not, which leaves out what speaks for the middle point.
"""

from experiments.data_dependency.common import PLAIN, draw_curve, layer, on_line, unmixed
from kmix_tf.analysis import alternating_line
from kmix_tf.paired import AtLeast, AtMost, Claim, Experiment, More

PAIRS = {"with itself": True, "never with itself": False}


def measure(seed, alphas, units, steps, every):
    """Class 1's probability at each point, by way of mixing, and training errors in the course of training."""
    layers = {arm(a, words): layer(a, 2, may) for words, may in PAIRS.items() for a in alphas}
    cells = on_line(alternating_line(3), {PLAIN: unmixed(2), **layers}, seed, units, steps, every)
    for row in cells.values():
        row.update(zip(("at 0", "at 1", "at 2"), row.pop("of class 1"), strict=True))
        del row["of its class"]
    return cells


def arm(alpha, words):
    return f"alpha = {alpha:g}, {words}"


def draw(runs):
    from matplotlib import pyplot

    figure, all_axes = pyplot.subplots(1, 2, figsize=(10, 3.6), sharey=True, layout="constrained")
    for axes, words in zip(all_axes, PAIRS, strict=True):
        draw_curve(axes, runs, PLAIN, PLAIN)
        for alpha in runs.settings["alphas"]:
            draw_curve(axes, runs, arm(alpha, words), f"alpha = {alpha:g}")
        axes.set(title=f"pairs {words}", xlabel="steps", ylabel="training error, %")
        axes.legend()
    return figure


OWN, OTHER = PAIRS

EXPERIMENT = Experiment(
    name="data-dependency/table-1",
    items="Table 1, Figure 1",
    title="Mixup fails on three points of alternating classes on a line",
    measure=measure,
    settings={"alphas": [1, 32, 128], "units": 512, "steps": 5000, "every": 50},
    quick={"steps": 200, "every": 50},
    seeds=10,
    claims=[
        Claim("without mixing, all points are fitted: error below 1 %", AtMost("error", PLAIN, 1.0), "0 %"),
        Claim(
            "at alpha = 32 the middle point is taken for its neighbours' class: probability above 1/2",
            AtLeast("at 1", arm(32, OWN), 0.5), ".603", unit="",
        ),
        Claim(
            "at alpha = 128 the middle point is taken for its neighbours' class: probability above 1/2",
            AtLeast("at 1", arm(128, OWN), 0.5), ".650", unit="",
        ),
        Claim(
            "the middle point is given more to its neighbours' class at alpha = 128 than at 32",
            More("at 1", arm(128, OWN), arm(32, OWN)), ".650 and .603", unit="",
        ),
        Claim(
            "at alpha = 1 the middle point keeps its own class: probability of its neighbours' below 1/2",
            AtMost("at 1", arm(1, OWN), 0.5), ".156", unit="",
        ),
        Claim("at alpha = 1 all points are fitted: error below 1 %", AtMost("error", arm(1, OWN), 1.0), "0 %"),
        Claim(
            "without self pairs, our layers' default, the middle point fails more clearly, at alpha = 32",
            More("at 1", arm(32, OTHER), arm(32, OWN)), unit="", ours=True,
        ),
    ],
    paper={
        arm(1, OWN): {"at 0": 0.995, "at 1": 0.156, "at 2": 0.979, "error": 0},
        arm(32, OWN): {"at 0": 1.0, "at 1": 0.603, "at 2": 0.997, "error": 33.33},
        arm(128, OWN): {"at 0": 1.0, "at 1": 0.650, "at 2": 0.997, "error": 33.33},
        PLAIN: {"error": 0},
    },
    draw=draw,
    notes="""The columns are the probability of class 1, to which 0 and 2 belong and 1 does not. The number of
steps is that of the authors' code and of Figure 1's axis, 5,000. As theirs, the network begins with biases at
random, which Keras does not do by itself, and all pairs of a step share one ratio. Their partners are drawn
each on its own; ours are a shuffle of the three points. Errors at single moments jump: of three points one is
33 %.

Without self pairs, pairs of 0 and 2 say class 1 at the middle, and only the ends of other pairs say class 2.""",
)  # fmt: skip
