"""Pictures. Needs the extra `plot`: pip install 'kmix_tf[plot]'. Each function returns Matplotlib Axes."""

from kmix_tf.plot.pairs import plot_coupling, plot_image_pairs
from kmix_tf.plot.regions import plot_decision_regions
from kmix_tf.plot.reliability import plot_reliability

__all__ = ["plot_coupling", "plot_decision_regions", "plot_image_pairs", "plot_reliability"]
