"""The spirals of the authors' code, which are thinner: the error over epsilon

As figure-4, but for the noise.
"""

from experiments.local_mixup import on_spirals
from experiments.local_mixup.common import AS_PUBLISHED
from kmix_tf.paired import Experiment

EXPERIMENT = Experiment(
    name="local-mixup/figure-4-published",
    items="Figure 4, with the data of the authors' code",
    title="The spirals of the authors' code, which are thinner: the error over epsilon",
    measure=on_spirals.measure,
    settings={**AS_PUBLISHED, **on_spirals.SETTINGS},
    quick=on_spirals.QUICK,
    seeds=15,
    claims=on_spirals.claims(),
    table=on_spirals.table_of,
    draw=on_spirals.draw,
    notes="""
The authors' code adds uniform noise in [0, 0.5) where the text says Gaussian noise with sigma = 1.5, and says so of
the paper, too. All else is as in figure-4. As there, all epsilons' steps have 50 pairs, but not the same ones: their
batches are not equal. The arms are apart here, and there is little for mixing to regularise.
""",
)
