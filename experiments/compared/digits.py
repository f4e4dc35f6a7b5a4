"""Errors and calibration of all ways of mixing, on handwritten digits

A digit is an image of 8 x 8 pixels; 300 of them are little to learn from.
"""

import functools

from experiments.compared import common, images
from experiments.compared.ways import Task, network_of
from kmix_tf.paired import Experiment


def measure(seed, train, test, batch, steps, width, rate):
    data, of_test = images.digits(seed, train, test)
    make = functools.partial(network_of, (8, 8, 1), width, (1, 2, 2))
    return common.measured(Task(make, 4, data, batch, steps, rate, seed), of_test)


EXPERIMENT = Experiment(
    name="compared/digits",
    items="Ways of mixing, on digits",
    title="Errors and calibration of all ways of mixing, on handwritten digits",
    measure=measure,
    settings={**common.SETTINGS, "train": 300},
    quick=common.QUICK,
    claims=common.claims(),
    draw=common.draw,
    notes=f"""
300 of scikit-learn's handwritten digits to learn from and 797 to test on; three convolutions, whose maps have 8 x 8,
4 x 4 and 2 x 2 places; SGD with Nesterov's momentum, whose rate falls along a cosine. Blocks are of 2 x 2 pixels.
{common.NOTES}""",
)
