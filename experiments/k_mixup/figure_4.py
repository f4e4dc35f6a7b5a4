"""How near to the data, and how rightly labelled, mixtures are as k grows

Figure 4 draws the neighbourhood of a curve that Proposition 3.2 is about; here the proposition is put to the test.
"""

import numpy as np
from scipy.optimize import brentq

from experiments.k_mixup import common, geometry
from experiments.k_mixup.common import TOYS
from experiments.k_mixup.figure_2 import mixtures
from kmix_tf.analysis import mean_matching_cost
from kmix_tf.maths.theta import theta_moments
from kmix_tf.paired import AtLeast, Claim, Experiment, Less, More

EQUAL = "k = 1, as far as k = {}"


def measure(seed, ks, alpha, equal, n, rounds, trials):
    """Of mixtures of all samples: the share near the data, nearer still, and on the side of another class."""
    cells = {}
    for toy in TOYS:
        x, y = common.data(toy, n, seed)
        settings = {f"k = {k}": (k, alpha) for k in ks}
        settings |= {EQUAL.format(k): (1, plain_alpha(x, k, alpha, trials)) for k in equal}
        for how, (k, alpha_k) in settings.items():
            found = [mixtures(x, y, k, alpha_k, seed * rounds + again) for again in range(rounds)]
            cells[f"{toy}, {how}"] = _numbers(toy, *map(np.concatenate, zip(*found, strict=True)))
    return cells


def plain_alpha(x, k, alpha, trials):
    """The alpha with which plain mixup moves samples as far as k-mixup with `alpha` does."""
    part = mean_matching_cost(x, k, trials) / mean_matching_cost(x, 1)
    wanted = part * theta_moments(alpha).gamma_squared
    return float(np.exp(brentq(lambda log: theta_moments(np.exp(log)).gamma_squared - wanted, -12, np.log(alpha))))


def _numbers(toy, mixed, share):
    """share: of class 1 in the mixtures' labels."""
    is_near, here = geometry.near(toy, mixed)
    return {
        "near the data": 100 * float(is_near.mean()),
        "on another class": 100 * float((is_near & (here != (share > 0.5))).mean()),
        "one class alone": 100 * float(np.mean((share == 0) | (share == 1))),
    }


_SHOWN = ["near the data", "on another class", "one class alone"]


def draw(runs):
    from matplotlib import pyplot

    ks, equal = (np.array(runs.settings[name]) for name in ("ks", "equal"))
    figure, row = pyplot.subplots(1, 3, figsize=(12, 4), sharey=True, layout="constrained")
    for axes, toy in zip(row, TOYS, strict=True):
        for colour, measured in enumerate(_SHOWN):
            values = np.stack([runs.values(f"{toy}, k = {k}", measured) for k in ks], axis=1)
            common.shaded(axes, ks, values, label=measured, marker="o", markersize=3, color=f"C{colour}")
            plain = [runs.mean(f"{toy}, {EQUAL.format(k)}", measured) for k in equal]
            axes.plot(equal, plain, marker="x", linestyle="none", color=f"C{colour}")
        axes.set_xscale("log", base=2)
        axes.set_xticks(ks, [str(k) for k in ks])
        axes.set(xlabel="k (crosses: plain mixup that moves samples as far)", title=toy)
    row[0].set_ylabel("mixtures, %")
    row[0].legend(fontsize=8)
    return figure


def claims():
    found = []
    for toy in TOYS:
        one, most, same = f"{toy}, k = 1", f"{toy}, k = 128", f"{toy}, {EQUAL.format(32)}"
        found += [
            Claim(f"{toy}: more mixtures are near the data with k = 128 than 1", More("near the data", most, one)),
            Claim(f"{toy}: with k = 128, over 95 % of mixtures are near the data",
                  AtLeast("near the data", most, 95.0)),
            Claim(
                f"{toy}: labels are preserved: with k = 32 fewer mixtures fall on another class than with 1",
                Less("on another class", f"{toy}, k = 32", one),
            ),
            Claim(
                f"{toy}: with k = 32 fewer mixtures fall on another class than with plain mixup that moves as far",
                Less("on another class", f"{toy}, k = 32", same), ours=True,
            ),
            Claim(
                f"{toy}: with k = 32 more mixtures are near the data than with plain mixup that moves as far",
                More("near the data", f"{toy}, k = 32", same), ours=True,
            ),
        ]  # fmt: skip
    return found


EXPERIMENT = Experiment(
    name="k-mixup/figure-4",
    items="Figure 4, Proposition 3.2",
    title="How near to the data, and how rightly labelled, mixtures are as k grows",
    measure=measure,
    settings={
        "ks": [1, 2, 4, 8, 16, 32, 64, 128], "alpha": 1.0, "equal": [4, 32], "n": 512, "rounds": 4, "trials": 300,
    },
    quick={"rounds": 1, "trials": 20},
    seeds=20,
    claims=claims(),
    draw=draw,
    notes="""
All in percent of mixtures. "Near the data" is as near to where a class is as a quarter of the injectivity radius,
which is half the least distance between the classes (within the radius itself is all that is between the bars);
"on another class" are mixtures so near to a class that has less than half of their label; "one class alone" are those
of two samples of one class. As k grows with alpha fixed, mixtures also move less, which alone keeps them near; so
plain mixup is also measured with the smaller alpha that moves samples as far as k = 4 and k = 32 do: the crosses.
Proposition 3.2 is about k without bound; "high probability" is tested here by 95 % at k = 128, of sets of 512.
""",
)  # fmt: skip
