"""Mixup fails on ten points of a line already at alpha = 1"""

from experiments.data_dependency.common import PLAIN, draw_curve, layer, on_line, unmixed
from kmix_tf.analysis import alternating_line
from kmix_tf.paired import AtLeast, AtMost, Claim, Experiment, Less, More

CLASSES = (2, 10)


def measure(seed, points, alphas, units, steps, every):
    """Training errors by way of mixing, for points that take turns in two classes, and for ten of a class each."""
    cells = {}
    for classes in CLASSES:
        layers = {PLAIN: unmixed(classes), **{_mixed(alpha): layer(alpha, classes) for alpha in alphas}}
        found = on_line(alternating_line(points, classes), layers, seed, units, steps, every)
        for name, row in found.items():
            truth = row["of its class"]
            ends = {"at the ends": (truth[0] + truth[-1]) / 2, "inside": truth[1:-1].mean()}
            cells[arm(classes, name)] = {"error": row["error"], **ends, "curve": row["curve"], "by point": truth}
    return cells


def _mixed(alpha):
    return f"alpha = {alpha:g}"


def arm(classes, mixing):
    return f"{classes} classes, {mixing}"


def draw(runs):
    from matplotlib import pyplot

    figure, rows = pyplot.subplots(2, 2, figsize=(10, 7), layout="constrained")
    names = [PLAIN, *(_mixed(alpha) for alpha in runs.settings["alphas"])]
    for (of_error, of_points), classes in zip(rows, CLASSES, strict=True):
        for name in names:
            draw_curve(of_error, runs, arm(classes, name), name)
            truth = runs.values(arm(classes, name), "by point")
            of_points.errorbar(range(truth.shape[1]), truth.mean(0), truth.std(0), marker="o", capsize=3, label=name)
        of_error.set(title=f"{classes} classes", xlabel="steps", ylabel="training error, %", ylim=(0, None))
        of_points.set(title=f"{classes} classes, in the end", xlabel="point", ylabel="probability of its class")
        of_error.legend()
    return figure


EXPERIMENT = Experiment(
    name="data-dependency/figure-8",
    items="Figure 8",
    title="Mixup fails on ten points of a line already at alpha = 1",
    measure=measure,
    settings={"points": 10, "alphas": [1, 32], "units": 512, "steps": 5000, "every": 50},
    quick={"steps": 200},
    seeds=10,
    claims=[
        Claim(
            "ten points of two classes are not fitted even at alpha = 1: error above 10 %, a point",
            AtLeast("error", arm(2, "alpha = 1"), 10.0), "33 %",
        ),
        Claim(
            "ten points of ten classes are not fitted even at alpha = 1: error above 10 %, a point",
            AtLeast("error", arm(10, "alpha = 1"), 10.0), "18 %",
        ),
        Claim("ten points of two classes are fitted even less at alpha = 32 than at 1",
              More("error", arm(2, "alpha = 32"), arm(2, "alpha = 1")), "47 and 33 %"),
        Claim("ten points of ten classes are fitted even less at alpha = 32 than at 1",
              More("error", arm(10, "alpha = 32"), arm(10, "alpha = 1")), "63 and 18 %"),
        Claim("without mixing, ten points of ten classes are fitted: error below 1 %",
              AtMost("error", arm(10, PLAIN), 1.0), "0 %"),
        Claim("even without mixing, ten points of two classes are not wholly fitted",
              AtLeast("error", arm(2, PLAIN), 0.0), "7 to 9 %"),
        Claim("without mixing, ten points of two classes are fitted better than by mixup at alpha = 1",
              Less("error", arm(2, PLAIN), arm(2, "alpha = 1")), "7 and 33 %"),
    ],
    paper={
        arm(2, PLAIN): {"error": 7}, arm(2, "alpha = 1"): {"error": 33}, arm(2, "alpha = 32"): {"error": 47},
        arm(10, PLAIN): {"error": 0}, arm(10, "alpha = 1"): {"error": 18}, arm(10, "alpha = 32"): {"error": 63},
    },
    draw=draw,
    notes="""The paper prints no numbers here: those in brackets are the final errors that the authors' published
runs report (without mixing, of two classes, 7 % in one run of theirs and 9 % in another). "At the ends" and
"inside" are probabilities of a point's own class, of the two outermost points and of the other eight: those
inside lie between others. Steps, first weights and ratios are as in Table 1.""",
)  # fmt: skip
