"""Two classes in clusters, on which plain mixup smooths too much."""

import numpy as np

from kmix_tf import _checks
from kmix_tf.analysis.toys.base import Toy, asked, shuffled, two_classes

# Inner and outer radius: of class 0, a disc, and of class 1, the ring around it.
_RADII = np.array([[0.0, 0.2], [0.4, 0.6]])
# From the middle of a bar to that of the next one, and how wide and long they are.
_SPACING, _WIDTH, _LENGTH = 1.0, 0.4, 5.3


@_checks.speaks
def one_ring(n: int = 512, seed: int = 0) -> Toy:
    """A disc, class 0, and a ring around it, class 1: mixtures of two points of the ring fall on the disc.

    Both are filled evenly, the disc to the radius 0.2, the ring from 0.4 to 0.6.

    Args:
        n: an integer >= 2; the classes differ by at most one sample.
        seed: an integer >= 0.

    Returns:
        `Toy(x, y)`: `(n, 2)` and `(n,)`, in random order.

    Raises:
        ValueError: for other arguments.

    Source: k-mixup, Figures 1 to 3 and Table 9 (a). The paper prints no geometry and no size. The radii were
    inferred: `perturbation` of many samples rounds to the xi that the table prints for k = 1 and each alpha, .10 to
    .25. So does that of any other disc and ring whose mean squared distance between samples is 0.28.

    Example:
        >>> from kmix_tf.analysis import one_ring, perturbation
        >>> round(perturbation(one_ring(20_000).x, k=1, alpha=1.0), 2)
        0.15
    """
    n, generator = asked(n, seed)
    y = two_classes(n)
    inner, outer = _RADII[y].T
    # Areas grow as squares of radii.
    radius = np.sqrt(inner**2 + (outer**2 - inner**2) * generator.random(n))
    angle = 2 * np.pi * generator.random(n)
    return shuffled(np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1), y, generator)


@_checks.speaks
def four_bars(n: int = 512, seed: int = 0) -> Toy:
    """Four parallel bars whose classes take turns: mixtures of bars of one class fall on the other's.

    Each is 0.4 wide and 5.3 long, and filled evenly. Their middles are at x[:, 0] = -1.5, -0.5, 0.5 and 1.5; the
    first and the third are of class 0.

    Args:
        n: an integer >= 2; the classes differ by at most one sample, and so do the bars of one class.
        seed: an integer >= 0.

    Returns:
        `Toy(x, y)`: `(n, 2)` and `(n,)`, in random order.

    Raises:
        ValueError: for other arguments.

    Source: k-mixup, Figures 1 to 3 and Table 9 (b). The paper prints no geometry and no size. The bars were inferred:
    `perturbation` of many samples rounds to the xi that the table prints for k = 1, .50, .78, 1.0 and 1.2, at four of
    its five alphas. At alpha = 16 it is 1.16 and the table prints 1.1, which no data meet together with the others'
    rounding. So does that of other bars whose mean squared distance between samples is 7.208.

    Example:
        >>> from kmix_tf.analysis import four_bars
        >>> x, y = four_bars()
        >>> (np.floor(x[:, 0] + 2) % 2 == y).all().item()
        True
    """
    n, generator = asked(n, seed)
    y = two_classes(n)
    # The samples of each class go to its two bars in turns.
    second = np.concatenate([np.arange((y == label).sum()) % 2 for label in (0, 1)])
    middle = _SPACING * (y + 2 * second - 1.5)
    place = generator.random((n, 2)) - 0.5
    return shuffled(np.stack([middle + _WIDTH * place[:, 0], _LENGTH * place[:, 1]], axis=1), y, generator)
