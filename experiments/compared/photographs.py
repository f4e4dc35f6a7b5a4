"""Errors and calibration of all ways of mixing, on digits on coloured photographs

What an image shows is a part of it, somewhere near its middle, and the rest says nothing of its class.
"""

import functools

from experiments.compared import common, images
from experiments.compared.ways import Task, network_of
from kmix_tf.paired import Experiment


def measure(seed, train, test, batch, steps, width, rate, background, shift):
    data, of_test = images.on_photographs(seed, train, test, background=background, shift=shift)
    make = functools.partial(network_of, (images.LARGE, images.LARGE, 3), width, (2, 2, 2))
    return common.measured(Task(make, 4, data, batch, steps, rate, seed), of_test)


EXPERIMENT = Experiment(
    name="compared/photographs",
    items="Ways of mixing, on digits on photographs",
    title="Errors and calibration of all ways of mixing, on digits on coloured photographs",
    measure=measure,
    settings={**common.SETTINGS, "train": 800, "background": 0.4, "shift": 3},
    quick=common.QUICK,
    claims=common.claims(),
    draw=common.draw,
    notes=f"""
800 images of 32 x 32 pixels in colour to learn from and 797 to test on: scikit-learn's handwritten digits, twice as
large, within 3 pixels of the middle of a piece of one of its two photographs, darkened; three convolutions, whose
maps have 16 x 16, 8 x 8 and 4 x 4 places; SGD with Nesterov's momentum, whose rate falls along a cosine. Blocks are
of 8 x 8 pixels.
{common.NOTES}""",
)
