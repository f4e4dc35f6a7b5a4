"""Pictures. Needs the extra `plot`: pip install 'kmix_tf[plot]'. Each function returns Matplotlib Axes."""

from kmix_tf.plot.comparison import plot_comparison
from kmix_tf.plot.confidence import plot_confidence
from kmix_tf.plot.distances import plot_distances
from kmix_tf.plot.interpolants import plot_interpolants
from kmix_tf.plot.matches import plot_cross_matches, plot_matching_distribution
from kmix_tf.plot.pairs import plot_coupling, plot_image_pairs
from kmix_tf.plot.ratios import plot_ratio_density
from kmix_tf.plot.regions import plot_decision_regions
from kmix_tf.plot.reliability import plot_reliability
from kmix_tf.plot.variance import plot_variance
from kmix_tf.plot.vicinal import plot_vicinal

__all__ = [
    "plot_comparison",
    "plot_confidence",
    "plot_coupling",
    "plot_cross_matches",
    "plot_decision_regions",
    "plot_distances",
    "plot_image_pairs",
    "plot_interpolants",
    "plot_matching_distribution",
    "plot_ratio_density",
    "plot_reliability",
    "plot_variance",
    "plot_vicinal",
]
