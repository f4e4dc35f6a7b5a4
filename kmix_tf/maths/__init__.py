"""What the mixes and the analysis share: moments of ratios, losses, derivatives, distances, samples as arrays."""

from kmix_tf.maths.distance import pair_distances

__all__ = ["pair_distances"]
