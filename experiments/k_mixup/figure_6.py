"""k-mixup trains as fast as mixup

The k-mixup paper's Figure 6, in shape: accuracies in the course of training. Those in training are of mixtures, and
count for each the share of the predicted class in its label.
"""

import numpy as np

from experiments.k_mixup.real import PLAIN, digits, layers_of, matched, mixup, published, sgd, small_convnet
from kmix_tf.paired import Claim, Experiment, More, Trainer, arms_table, batches, probabilities

TEST, MIXED = "test accuracy", "accuracy on mixtures"


def measure(seed, alphas, k, largest, trials, train, test, batch, epochs, every, rate, momentum, decay):
    """Accuracies after each `every` epochs, at the end, and over the first half, before the rate falls."""
    x, y, test_x, test_y = digits(train, test, seed)
    steps, test_labels = epochs * (train // batch), np.eye(10)[test_y]
    trainer = Trainer(
        lambda: small_convnet(decay), lambda: sgd(rate, momentum, steps), steps_per_call=every * train // batch
    )
    cells = {}
    for name, (layer, reached) in layers_of(x, alphas, [1, k], [k], 10, largest, trials, seed).items():
        # Mixtures like those of training, drawn once: an epoch of them.
        mixed = list(batches(x, y, batch, seed + 1000, layer).take(train // batch))
        mixed_x, mixed_y = (np.concatenate([np.asarray(each[part]) for each in mixed]) for part in (0, 1))
        curves = {TEST: [], MIXED: []}

        def watch(step, curves=curves, mixed_x=mixed_x, mixed_y=mixed_y):
            curves[TEST].append(accuracy(trainer.network, test_x, test_labels))
            curves[MIXED].append(accuracy(trainer.network, mixed_x, mixed_y))

        trainer.run(batches(x, y, batch, seed, layer), steps, seed, every * train // batch, watch)
        half = max(1, len(curves[TEST]) // 2)
        cells[name] = {
            **reached, TEST: curves[TEST][-1], MIXED: curves[MIXED][-1],
            f"{TEST}, first half": np.mean(curves[TEST][:half]),
            f"{MIXED}, first half": np.mean(curves[MIXED][:half]),
            **{f"curve of {each}": curve for each, curve in curves.items()},
        }  # fmt: skip
    return cells


def accuracy(network, x, labels):
    """In percent: the mean share of the predicted class in a sample's label."""
    predicted = probabilities(network, x).argmax(axis=1)
    return round(100 * float(labels[np.arange(len(x)), predicted].mean()), 2)


def draw(runs):
    from matplotlib import pyplot

    alphas, k, every = (runs.settings[each] for each in ("alphas", "k", "every"))
    figure, all_axes = pyplot.subplots(
        2, len(alphas), figsize=(11, 7), sharex=True, sharey="row", squeeze=False, layout="constrained"
    )
    for column, alpha in enumerate(alphas):
        for axes, measured in zip(all_axes[:, column], (TEST, MIXED), strict=True):
            for name in (PLAIN, mixup(alpha), matched(k, alpha), published(k, alpha)):
                curves = runs.values(name, f"curve of {measured}")
                epochs, mean, spread = every * np.arange(1, curves.shape[1] + 1), curves.mean(0), curves.std(0)
                (line,) = axes.plot(epochs, mean, label=name)
                axes.fill_between(epochs, mean - spread, mean + spread, alpha=0.15, color=line.get_color())
            axes.set(title=f"alpha = {alpha:g}", ylabel=f"{measured}, %")
            axes.legend(fontsize=8, loc="lower right")
        all_axes[0, column].set(ylim=(85, 100))
        all_axes[1, column].set(xlabel="epochs")
    return figure


def _claims(alpha, capped="", k=32):
    first = f"{TEST}, first half"
    return [
        Claim(
            f"alpha = {alpha:g}: k = {k} trains as fast as mixup: before the rate falls, its mean test accuracy is "
            "at most 0.5 points lower",
            More(first, matched(k, alpha), mixup(alpha)), above=-0.5,
        ),
        Claim(
            f"alpha = {alpha:g}: k = {k} ends as high as mixup: its test accuracy is at most 0.5 points lower",
            More(TEST, matched(k, alpha), mixup(alpha)), above=-0.5,
        ),
        Claim(
            f"alpha = {alpha:g}: k = {k} at alpha_k{capped} is more accurate on its own mixtures than mixup on its",
            More(MIXED, matched(k, alpha), mixup(alpha)),
        ),
    ]  # fmt: skip


EXPERIMENT = Experiment(
    name="k-mixup/figure-6",
    items="Figure 6",
    title="k-mixup trains as fast as mixup",
    measure=measure,
    settings={
        "alphas": [1, 10], "k": 32, "largest": 100, "trials": 1000, "train": 1024, "test": 773, "batch": 128,
        "epochs": 100, "every": 4, "rate": 0.1, "momentum": 0.9, "decay": 1e-4,
    },
    quick={"train": 128, "test": 50, "batch": 64, "epochs": 2, "every": 1},
    seeds=8,
    claims=[
        *_claims(1),
        *_claims(10, " (capped: less xi)"),
        Claim(
            "what k = 32 gains on mixtures is more at alpha = 10 (alpha_k capped: less xi) than at alpha = 1",
            lambda cells: (
                More(MIXED, matched(32, 10), mixup(10))(cells) - More(MIXED, matched(32, 1), mixup(1))(cells)
            ),
        ),
        Claim(
            "mixtures are harder than test images: with mixup, alpha = 1, accuracy on them is lower than in the test",
            lambda cells: cells[mixup(1)][TEST] - cells[mixup(1)][MIXED],
        ),
        Claim(
            "with alpha = 10 itself, as in the authors' published loop, k = 32 is more accurate on its own mixtures "
            "than mixup on its",
            More(MIXED, published(32, 10), mixup(10)), ours=True,
        ),
    ],
    table=lambda runs: arms_table(runs, measures=runs.measures(PLAIN)),
    draw=draw,
    notes="""The paper has CIFAR-10 with a ResNet-18, 20 seeds, and prints no numbers; this has scikit-learn's
digits with a small convolution net, trained as in `k-mixup/digits`. Accuracy on mixtures is that of an epoch of
mixtures which are drawn once an arm: for each mixture the share of the predicted class in its label, which the
best of classifiers cannot bring to 100 %. At alpha = 1, alpha_k gives k = 32 the xi of mixup. At
alpha = 10 none does: alpha_k is 100, and xi is less (about 0.99 instead of 1.28; see the table), so that its
mixtures are also nearer to the data because they move less. The figure does not say whether
alpha is adjusted to k; both ways are here.""",
)  # fmt: skip
