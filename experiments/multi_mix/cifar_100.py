"""CIFAR-100, a WRN-16-8: test errors of ways to mix, and of five interpolations"""

from experiments import schedules
from experiments.large import MIRRORED, loaded, reader, trained
from experiments.multi_mix.common import BLENDS, CUTMIX, FMIX, INPUT, PLAIN, PUZZLE
from kmix_tf import MultiMixLayer, PuzzleMixBlend
from kmix_tf.paired import Claim, Experiment, Less

MULTI = "multi-mix with Puzzle-mix, K = 5"
DATA = "CIFAR-100"


def measure(seed, network, epochs, batch, alpha, limit, data_dir):
    found = loaded(DATA, data_dir, limit)
    schedule = schedules.shortened(schedules.MULTI_MIX, epochs)._replace(batch_size=batch)

    def layer(count=1, alpha=alpha, blend=None):
        return MultiMixLayer(count, alpha, blend=blend, num_classes=found.classes)

    puzzle = PuzzleMixBlend()
    arms = {PLAIN: layer(alpha=0.0), **{name: layer(blend=BLENDS[name]()) for name in (INPUT, CUTMIX, FMIX)}}
    arms |= {PUZZLE: layer(blend=puzzle), MULTI: layer(5, blend=puzzle)}
    return trained(found, network, schedule, arms, seed, DATA in MIRRORED, (PUZZLE, MULTI))


PRINTED = {PLAIN: 21.93, INPUT: 20.18, CUTMIX: 20.14, FMIX: 19.75, PUZZLE: 19.27, MULTI: 18.52}


def _claim(first, second):
    says = f"{first} has less error than {second}"
    return Claim(says, Less("error", first, second), f"{PRINTED[first]:g} and {PRINTED[second]:g}")


EXPERIMENT = Experiment(
    name="multi-mix/cifar-100",
    items="Table I, CIFAR-100",
    title="CIFAR-100, a WRN-16-8: test errors of ways to mix, and of five interpolations",
    measure=measure,
    settings={
        "network": ["wide_resnet", {"depth": 16, "widen": 8}], "epochs": 300, "batch": 100, "alpha": 1.0,
        "limit": None,
    },
    quick={"network": ["wide_resnet", {"depth": 10, "widen": 1}], "epochs": 1, "batch": 16, "limit": 32},
    seeds=3,
    claims=[
        *[_claim(first, PLAIN) for first in (INPUT, CUTMIX, FMIX, PUZZLE, MULTI)],
        _claim(PUZZLE, INPUT),
        _claim(MULTI, PUZZLE),
    ],
    paper={arm: {"error": error} for arm, error in PRINTED.items()},
    reads_data=reader(DATA),
    elsewhere=f"six networks of 300 epochs a seed on {DATA}: months on a small machine, days on a graphics card",
    notes="""
The paper's schedule (SGD, a rate of 0.2 that falls to a tenth after 100 and 200 of 300 epochs, batches of 100), three
trials as there. Neither momentum nor weight decay is printed: there is none of either. Images are moved by up to 4
pixels and mirrored. No alpha is printed for Puzzle-mix: 1. Five interpolations train on five times as many mixtures
in as many steps, as in the paper; see multi-mix/regimes for equal cost. Without manifold mixup, Cutout and label
smoothing, which multi-mix/table-1 has on digits, and without co-mixup.
""",
)  # fmt: skip
