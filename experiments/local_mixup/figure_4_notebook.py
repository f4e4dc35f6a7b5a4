"""The authors' notebook of the spirals, which does not drop far pairs, and what dropping them does

Their loss is one number a batch before the weights of its pairs are applied, so that far pairs count like near ones.
"""

import keras
import tensorflow as tf

from experiments.local_mixup.common import AS_PUBLISHED, draw_spread, spirals
from kmix_tf import BetaRatio, MixLayer, RandomPairing, ThresholdWeight
from kmix_tf.paired import Claim, Experiment, Less, Trainer, batches, scores

PLAIN, MIXUP = "plain training, batches of 20", "mixup, batches of 20"
# Epsilon, and the batch size that the notebook takes for it.
SIZES = {0.6: 241, 1.0: 103, 2.0: 33}


def as_published(epsilon):
    return f"epsilon {epsilon:g} as published, batches of {SIZES[epsilon]}"


def dropped(epsilon):
    return f"epsilon {epsilon:g}, far pairs dropped, batches of {SIZES[epsilon]}"


def network(units):
    """With the softmax that the notebook takes before a loss that takes it again."""
    layers = [keras.layers.Dense(size, activation="relu") for size in units]
    return keras.Sequential([keras.Input((2,)), *layers, keras.layers.Dense(2, activation=softmax)])


def softmax(logits):
    """Not Keras' own, whose losses would then go back to the logits."""
    return tf.exp(tf.nn.log_softmax(logits))


def layer(alpha=1.0, epsilon=None):
    weight = None if epsilon is None else ThresholdWeight(epsilon, far="drop")
    return MixLayer(RandomPairing(with_itself=True), BetaRatio(alpha), weight=weight, num_classes=2)


def measure(seed, thickness, noise, count, units, epochs, rate, sizes):
    x, y, x_test, y_test = spirals(seed, count, thickness, noise)
    trainer = Trainer(lambda: network(units), lambda: keras.optimizers.Adam(rate), steps_per_call=20)
    arms = {PLAIN: (20, layer(0.0)), MIXUP: (20, layer())}
    for epsilon, size in zip(SIZES, sizes, strict=True):
        arms |= {as_published(epsilon): (size, layer()), dropped(epsilon): (size, layer(1.0, epsilon))}
    cells = {}
    for name, (size, mixing) in arms.items():
        steps = 20 * max(1, epochs * len(x) // size // 20)
        model = trainer.run(batches(x, y, size, seed, mixing), steps, seed)
        cells[name] = {"error": scores(model, x_test, y_test)["error"], "steps": steps}
    return cells


def draw(runs):
    import numpy as np
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 4), layout="constrained")
    for words, name in {"as published": as_published, "far pairs dropped": dropped}.items():
        errors = np.stack([runs.values(name(epsilon), "error") for epsilon in SIZES], axis=1)
        draw_spread(axes, list(SIZES), errors, marker="o", label=words)
    for name, style in ((PLAIN, ":"), (MIXUP, "--")):
        axes.axhline(runs.mean(name, "error"), color="0.3", linestyle=style, label=name)
    axes.set(xlabel="epsilon", ylabel="test error, %")
    axes.legend()
    return figure


EXPERIMENT = Experiment(
    name="local-mixup/figure-4-notebook",
    items="Figure 4, as the authors' notebook makes it",
    title="The authors' notebook of the spirals, which does not drop far pairs, and what dropping them does",
    measure=measure,
    settings={
        **AS_PUBLISHED, "count": 2000, "units": [100, 100, 100], "epochs": 100, "rate": 0.01,
        "sizes": list(SIZES.values()),
    },
    quick={"count": 200, "epochs": 4, "sizes": [80, 60, 33]},
    seeds=5,
    claims=[
        Claim("mixup beats plain training", Less("error", MIXUP, PLAIN), "Figure 4"),
        Claim(
            "epsilon = 0.6, as published, which is mixup with larger batches and fewer steps, beats mixup",
            Less("error", as_published(0.6), MIXUP), "Figure 4",
        ),
        *(
            Claim(
                f"Local Mixup at epsilon = {epsilon:g}, far pairs dropped, beats plain training",
                Less("error", dropped(epsilon), PLAIN), "Figure 4",
            ) for epsilon in (0.6, 1.0)
        ),
        Claim(
            "Local Mixup at epsilon = 1, far pairs dropped, beats mixup",
            Less("error", dropped(1.0), MIXUP), "Figure 4",
        ),
        Claim(
            "at epsilon = 0.6, dropping far pairs beats mixing all, with equal batches",
            Less("error", dropped(0.6), as_published(0.6)), ours=True,
        ),
        Claim(
            "at epsilon = 1, dropping far pairs beats mixing all, with equal batches",
            Less("error", dropped(1.0), as_published(1.0)), ours=True,
        ),
    ],
    draw=draw,
    notes="""
The notebook's cross-entropy averages over the batch before it is multiplied by the pairs' weights; what is multiplied
is one number, and the loss becomes that of mixup times the share of near pairs, a factor that Adam takes out again.
Its arms differ by the batch size alone, 241 at epsilon = 0.6 to 20 at 4, with equal epochs: so in the number of
steps, too. Batches are equal only for the two arms of one epsilon, and for plain training and mixup; all other
comparisons are of unequal batches, and as many epochs.

Like the notebook: data, three hidden layers (the text says two), a softmax before a loss that takes it again, one
ratio a batch. Unlike it: 100 epochs, not 200; data and test samples are drawn anew with each seed.

In the code for Fashion-MNIST and SVHN the model returns weights of one instead of those it computes, which is mixup;
that for CIFAR-10 gives all pairs equal weight, but draws the partner by exp(-alpha d), the sample itself included,
and ratios from [0, 1/2].
""",
)  # fmt: skip
