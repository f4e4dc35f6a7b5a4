"""Datasets on which the papers show what mixing can do."""

from kmix_tf.analysis.toys.base import Toy
from kmix_tf.analysis.toys.clusters import four_bars, one_ring
from kmix_tf.analysis.toys.line import alternating_line
from kmix_tf.analysis.toys.moons import half_moons, two_moons
from kmix_tf.analysis.toys.spirals import coiling_spirals, noisy_spiral, swiss_roll

__all__ = [
    "Toy",
    "alternating_line",
    "coiling_spirals",
    "four_bars",
    "half_moons",
    "noisy_spiral",
    "one_ring",
    "swiss_roll",
    "two_moons",
]
