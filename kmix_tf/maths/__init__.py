"""What the mixes and the analysis share: moments of ratios, losses, derivatives, distances, means, arrays of samples."""

from kmix_tf.maths.distance import pair_distances

__all__ = ["pair_distances"]
