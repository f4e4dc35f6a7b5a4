"""How far apart samples of one class are, and of two."""

from typing import TYPE_CHECKING

from kmix_tf.analysis.locality import DistanceProfile
from kmix_tf.plot._axes import axes_or_new

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_distances(profile: DistanceProfile, axes: "Axes | None" = None) -> "Axes":
    """Draws the histograms of distances within and between classes, and the threshold suggested for Local Mixup.

    Args:
        profile: of `kmix_tf.analysis.distance_profile`.
        axes: Matplotlib Axes, or None for a new figure.

    Returns:
        The Axes. Each histogram is a density, so that their areas are equal however many pairs they hold.

    Raises:
        ImportError: without Matplotlib. TypeError: for anything but a profile.

    Source: Local Mixup, Figure 4.

    Example:
        >>> from kmix_tf.analysis import distance_profile
        >>> x = np.random.default_rng(0).normal(size=(40, 3))
        >>> axes = plot_distances(distance_profile(x, np.arange(40) % 2))
    """
    if not isinstance(profile, DistanceProfile):
        raise TypeError(
            "plot_distances: profile must be what distance_profile(x, y) returns. "
            f"Received: an object of class {type(profile).__name__}."
        )
    axes = axes_or_new(axes)
    width = profile.edges[1] - profile.edges[0]
    for label, counts in (("same class", profile.same), ("different classes", profile.other)):
        density = counts / (max(counts.sum(), 1) * width)
        axes.stairs(density, profile.edges, fill=True, alpha=0.35, label=label)
    share = profile.quantile.partition(":")[2]
    label = f"epsilon = {profile.epsilon:.3g}: {float(share):.1%} of pairs"
    axes.axvline(profile.epsilon, color="black", linestyle="--", linewidth=1, label=label)
    axes.set(xlabel="distance", ylabel="density of pairs", xlim=(0, profile.edges[-1]), ylim=(0, None))
    axes.legend(framealpha=0.9, edgecolor="none", fontsize=8)
    return axes
