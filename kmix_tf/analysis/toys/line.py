"""Points of a line."""

import numpy as np

from kmix_tf import _checks
from kmix_tf.analysis.toys.base import Toy


@_checks.speaks
def alternating_line(n: int, classes: int = 2) -> Toy:
    """The points 0, 1, ..., n - 1 of a line, whose classes take turns: mixtures of one class fall on the others.

    Args:
        n: an integer >= 1.
        classes: an integer >= 2.

    Returns:
        `Toy(x, y)`: `(n, 1)` and `(n,)`, y = x mod classes.

    Raises:
        ValueError: for other arguments.

    Source: Towards Understanding the Data Dependency of Mixup-style Training, Definitions 2.6 (n = 3) and D.1. Its
    classes count from 1.

    Example:
        >>> from kmix_tf.analysis.toys import alternating_line
        >>> alternating_line(3).x.tolist(), alternating_line(3).y.tolist()
        ([[0.0], [1.0], [2.0]], [0, 1, 0])
    """
    n = _checks.integer("n", n, minimum=1)
    classes = _checks.integer("classes", classes, minimum=2)
    line = np.arange(n)
    return Toy(line[:, np.newaxis].astype(np.float64), line % classes)
