"""The paper's Table 1 with its networks, on data that are not bundled."""

from experiments import schedules
from experiments.large import MIRRORED, loaded, reader, trained
from experiments.local_mixup.on_data import MIXUP, PLAIN
from kmix_tf import ExponentialWeight, LocalMixupLayer
from kmix_tf.paired import Claim, Experiment, Less

LOCAL = "Local Mixup"


def measure(seed, data, network, alpha, rate, epochs, batch, limit, data_dir):
    found = loaded(data, data_dir, limit)
    schedule = schedules.shortened(schedules.K_MIXUP, epochs)._replace(batch_size=batch)
    ways = {PLAIN: (0.0, 0.0), MIXUP: (alpha, 0.0), LOCAL: (alpha, rate)}
    arms = {
        name: LocalMixupLayer(of, ExponentialWeight(to), num_classes=found.classes) for name, (of, to) in ways.items()
    }
    return trained(found, network, schedule, arms, seed, data in MIRRORED)


def experiment(name, data, network, plain, mixup, local, rate):
    """One column of the table. plain, mixup, local: the printed errors."""
    title = f"{data}: Local Mixup, mixup and plain training"
    width = {"width": 2} if "width" in network[1] else {}
    return Experiment(
        name=name,
        items=f"Table 1, {data}",
        title=title,
        measure=measure,
        settings={
            "data": data, "network": network, "alpha": 1.0, "rate": rate, "epochs": 200, "batch": 128, "limit": None,
        },
        quick={"network": [network[0], {**network[1], **width}], "epochs": 1, "batch": 32, "limit": 64},
        claims=[
            Claim(f"{first} has less error than {second}", Less("error", first, second), f"{ours:g} and {theirs:g}")
            for first, second, ours, theirs in (
                (MIXUP, PLAIN, mixup, plain), (LOCAL, PLAIN, local, plain), (LOCAL, MIXUP, local, mixup),
            )
        ],
        paper={PLAIN: {"error": plain}, MIXUP: {"error": mixup}, LOCAL: {"error": local}},
        reads_data=reader(data),
        elsewhere="three networks of 200 epochs a seed: weeks on a small machine, hours on a graphics card",
        notes="""
The paper prints neither alpha nor a schedule here: alpha = 1, 200 epochs of SGD, a rate of 0.1 that falls to a tenth
after 100 and 150, momentum 0.9, weight decay 1e-4, batches of 128. Its rate for CIFAR-10, 0.003, and for the others
"approximately" 0.001, were chosen by the test set. Images of CIFAR are moved by up to 4 pixels and mirrored.
""",
    )  # fmt: skip
