"""The paper's large tables: its networks and schedules on data that are not bundled, over alpha and k."""

import numpy as np

from experiments import schedules
from experiments.k_mixup.real import PLAIN, layers_of, matched, means, mixup
from experiments.large import MIRRORED, as_arrays, loaded, reader, trained
from kmix_tf.paired import Claim, Experiment, Less, arms_table, grid_table

# Whose distances stand for all in the search for alpha.
_FOR_XI = 5000


def measure(seed, data, network, schedule, alphas, ks, largest, trials, epochs, batch, limit, data_dir):
    found = loaded(data, data_dir, limit)
    of = schedules.shortened(getattr(schedules, schedule), epochs)._replace(batch_size=batch)
    x = found.x_train[:_FOR_XI].astype(np.float32)
    layers = layers_of(x, alphas, ks, [], found.classes, largest, trials, seed)
    arms = {name: layer for name, (layer, _) in layers.items()}
    cells = trained(found, network, of, arms, seed, data in MIRRORED)
    return {name: {**layers[name][1], **row} for name, row in cells.items()}


def table(runs):
    alphas, ks = runs.settings["alphas"], runs.settings["ks"]
    rows, columns = {f"k = {k}": k for k in ks}, {f"alpha = {alpha:g}": alpha for alpha in alphas}
    parts = [
        "Test error in percent, by the alpha of mixup whose xi each k has:",
        grid_table(runs, "error", rows, columns, matched),
        arms_table(runs, measures=["alpha", "xi", "error", "calibration", "loss"]),
    ]
    return "\n\n".join(parts)


def draw(runs):
    from matplotlib import pyplot

    alphas, ks = runs.settings["alphas"], runs.settings["ks"]
    figure, axes = pyplot.subplots(figsize=(6, 4), layout="constrained")
    axes.axhline(runs.mean(PLAIN, "error"), color="black", ls=":", label=PLAIN)
    for k in ks:
        values = np.stack([runs.values(matched(k, alpha), "error") for alpha in alphas], axis=1)
        means(axes, range(len(alphas)), values, marker="o", label=f"k = {k}")
    axes.set_xticks(range(len(alphas)), [f"{alpha:g}" for alpha in alphas])
    axes.set(xlabel="alpha of the mixup with equal xi", ylabel="test error, %")
    axes.legend()
    return figure


def _claims(erm, alphas, printed):
    """At fixed alphas, so that nothing is picked by the test set."""
    numbers = {k: dict(zip(alphas, row, strict=True)) for k, row in printed.items()}

    def told(first, second):
        return f"{first:g} and {second:g}"

    plain, large = numbers[1], max(alphas)
    yield Claim(
        "mixup, alpha = 1, has less error than no mixing", Less("error", mixup(1), PLAIN), told(plain[1], erm)
    )
    for alpha in (1, large):
        yield Claim(
            f"k = 16 has less error than mixup, alpha = {alpha:g}, with alpha_k of it",
            Less("error", matched(16, alpha), mixup(alpha)), told(numbers[16][alpha], plain[alpha]),
        )  # fmt: skip


def experiment(name, items, title, data, network, erm, alphas, printed, notes="", batch=128, **options):
    """One of them. erm: the printed error without mixing. printed: the table, k and its errors a row."""
    printed = as_arrays(printed)
    schedule = options.pop("schedule", "K_MIXUP")
    count = 1 + len(alphas) * len(printed)
    epochs = getattr(schedules, schedule).epochs
    narrow = {"width": 2} if "width" in network[1] else {}
    small = {"network": [network[0], {**network[1], **narrow}], "epochs": 1, "batch": 32, "limit": 64}
    return Experiment(
        name=name,
        items=items,
        title=title,
        measure=measure,
        settings={
            "data": data, "network": network, "schedule": schedule, "alphas": alphas, "ks": list(printed),
            "largest": 1000, "trials": 1000, "epochs": epochs, "batch": batch, "limit": None,
        },
        quick={**small, "alphas": [1, max(alphas)], "ks": [1, 16]},
        claims=list(_claims(erm, alphas, printed)),
        table=table,
        draw=draw,
        reads_data=reader(data),
        elsewhere=f"{count} networks of {epochs} epochs a seed: months on a small machine, days on a graphics card",
        notes=f"""
The paper: 20 trials (--seeds 20), {erm:g} % of error without mixing, and by k the errors at alpha =
{', '.join(f'{alpha:g}' for alpha in alphas)}:

{chr(10).join(f'* k = {k}: ' + ', '.join(f'{error:.2f}' for error in row) for k, row in printed.items())}

Where no alpha moves samples as far as mixup's, it is 1,000, and xi falls short. xi is of {_FOR_XI:,} samples. The
paper prints no batch size; {batch} is ours. Images of CIFAR are moved by up to 4 pixels and mirrored, as in the
program of Zhang et al. (2018), whose setting the paper takes. On a graphics card: --jobs 1.
{notes}""",
        **options,
    )  # fmt: skip
