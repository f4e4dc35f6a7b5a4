"""Puzzle Mix: masks and rearrangements of blocks that keep what is salient in two images."""

from kmix_tf.blend.puzzle.blend import PuzzleMixBlend
from kmix_tf.blend.puzzle.energy import PairEnergy, mask_energy, pair_energy
from kmix_tf.blend.puzzle.minimum_cut import CutProblem, cut_problem, minimum_cut
from kmix_tf.blend.puzzle.transport import transport_plan

__all__ = [
    "CutProblem",
    "PairEnergy",
    "PuzzleMixBlend",
    "cut_problem",
    "mask_energy",
    "minimum_cut",
    "pair_energy",
    "transport_plan",
]
