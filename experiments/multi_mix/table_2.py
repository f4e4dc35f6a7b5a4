"""Five interpolations against larger batches, batches augmented five times, and as much training

All arms see images shifted at random. Large batches hold other samples, as many as multi-mix makes mixtures: after
equal epochs, as in the paper, they have taken a fifth of the steps; after equal steps they have cost as much.
"""

import functools

import tensorflow as tf

from experiments.multi_mix import common
from experiments.multi_mix.common import PLAIN
from kmix_tf.paired import Claim, Experiment, Less, scores

MULTI, ONE, LONG = "multi-mix", "mixup", "mixup, five times the steps"
LARGE, LARGE_MIXUP = "large-batch training", "large-batch mixup"
TIME = "mixup, as long as multi-mix takes"
AUGMENTED, AUGMENTED_MIXUP = "batch augmentation", "batch augmentation with mixup"
EQUAL_COST = ", equal cost"
TIMES = 5


def measure(seed, train, test, background, batch, steps, longer, width, rate, alpha, shift, method):
    """Test scores by strategy, and how many mixtures its network was trained on."""
    data, of_test = common.digits_on_photographs(seed, train, test, background=background)
    once, often = (functools.partial(augmented, times=times, shift=shift) for times in (1, TIMES))
    many = min(TIMES * batch, train)
    # Way of mixing, interpolations, batch, steps, augmentation.
    strategies = {
        MULTI: (method, TIMES, batch, steps, once),
        ONE: (method, 1, batch, steps, once),
        TIME: (method, 1, batch, longer, once),
        LONG: (method, 1, batch, TIMES * steps, once),
        LARGE: (PLAIN, 1, many, steps // TIMES, once),
        LARGE + EQUAL_COST: (PLAIN, 1, many, steps, once),
        LARGE_MIXUP: (method, 1, many, steps // TIMES, once),
        LARGE_MIXUP + EQUAL_COST: (method, 1, many, steps, once),
        AUGMENTED: (PLAIN, 1, batch, steps, often),
        AUGMENTED_MIXUP: (method, 1, batch, steps, often),
    }
    cells = {}
    for name, (way, count, size, taken, before) in strategies.items():
        arms = common.Arms(functools.partial(common.small_cnn, width), common.sgd(rate, taken))
        network = arms.train(way, count, data, size, taken, seed, alpha, before)
        images = taken * size * (TIMES if count > 1 or before is often else 1)
        cells[name] = {**scores(network, of_test.x, of_test.y), "steps": taken, "images trained on": images}
    return cells


def augmented(x, y, seed, times, shift):
    """Each image so many times, shifted by up to `shift` pixels; what it leaves repeats the edge."""
    x, y = (tf.repeat(each, times, axis=0) for each in (x, y))
    moves = tf.random.stateless_uniform((2, tf.shape(x)[0], 1), seed, -shift, shift + 1, tf.int32)
    for axis in (1, 2):
        places = tf.clip_by_value(tf.range(common.SIDE) + moves[axis - 1], 0, common.SIDE - 1)
        x = tf.gather(x, places, axis=axis, batch_dims=1)
    return x, y


EXPERIMENT = Experiment(
    name="multi-mix/table-2",
    items="Table II",
    title="Five interpolations against larger batches, batches augmented five times, and as much training",
    measure=measure,
    settings={
        "train": 1000, "test": 797, "background": 0.5, "batch": 50, "steps": 400, "longer": 1040, "width": 16,
        "rate": 0.1, "alpha": 1.0, "shift": 1, "method": common.PUZZLE,
    },
    quick={"train": 50, "test": 40, "batch": 10, "steps": 5, "longer": 10, "width": 2, "method": common.INPUT},
    seeds=5,
    claims=[
        Claim(
            "multi-mix has less error than large-batch mixup after equal epochs",
            Less("error", MULTI, LARGE_MIXUP), "18.23 and 26.54 %",
        ),
        Claim(
            "multi-mix has less error than large-batch mixup at equal cost",
            Less("error", MULTI, LARGE_MIXUP + EQUAL_COST), ours=True,
        ),
        Claim(
            "multi-mix has less error than large-batch training after equal epochs",
            Less("error", MULTI, LARGE), "18.23 and 33.45 %",
        ),
        Claim(
            "multi-mix has less error than large-batch training at equal cost",
            Less("error", MULTI, LARGE + EQUAL_COST), ours=True,
        ),
        Claim(
            "multi-mix has less error than batch augmentation", Less("error", MULTI, AUGMENTED), "18.23 and 20.91 %",
        ),
        Claim(
            "multi-mix has less error than batch augmentation with mixup",
            Less("error", MULTI, AUGMENTED_MIXUP), "18.23 and 19.41 %",
        ),
        Claim(
            "multi-mix has less error than mixup after equal steps", Less("error", MULTI, ONE), "18.23 and 19.74 %",
        ),
        Claim(
            "multi-mix has less error than mixup after as much time",
            Less("error", MULTI, TIME), ours=True,
        ),
        Claim(
            "multi-mix has less error than mixup after five times the steps, with as many mixtures",
            Less("error", MULTI, LONG), ours=True,
        ),
    ],
    notes="""
*Equal cost* counts gradients on images, as the paper does. A step of multi-mix takes 2.6 times as long here as one of
mixup with as many samples (`multi-mix/figure-7`, seed 1000), so that mixup takes 2.6 times the steps in as much time.

Training is short, 20 epochs of small batches instead of 300: arms that take more steps, or see more images, gain by
that alone.

The paper (ResNeXt29, CIFAR-100): large-batch training 33.45, large-batch mixup 26.54, batch augmentation 20.91,
batch augmentation with mixup 19.41, multi-mix 18.23 % test error. Its large batches train for as many epochs as the
others, so for a fifth of the steps and of the cost; here they also train for as many steps, which costs what
multi-mix costs, and mixup with small batches takes five times the steps. Data and network are those of
`multi-mix/table-1`, with all 1,000 images to train on; all mixing is Puzzle Mix. Images are shifted by up to a
pixel, since digits may not be turned or mirrored: once in each batch, or, in batch augmentation, five times. The rate
is the same for all arms and all batch sizes, as in the paper.

Which batches are equal: those of multi-mix, mixup and batch augmentation, in the same order; mixup with more steps
goes on with further ones. Large batches are others, of five times the samples, so that arms of large batches differ
from multi-mix by more than the way of mixing.
""",
)  # fmt: skip
