"""Datasets on which the papers show what mixing can do."""

from typing import NamedTuple

import numpy as np

from kmix_tf import _checks


class Toy(NamedTuple):
    """x: float64 `(n, features)`. y: integer classes `(n,)`, int64."""

    x: np.ndarray
    y: np.ndarray


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


@_checks.speaks
def two_moons(n: int = 300, separation: float = 0.5, noise: float = 0.1, seed: int = 0) -> Toy:
    """Two interlocking half circles, pulled apart until a straight line separates them.

    Networks then learn the line and ignore the half circles; mixup's decision boundary follows them.

    Args:
        n: an integer >= 2; the classes differ by at most one sample.
        separation: >= 0, how far each class keeps from the line between them, x[:, 0] = 0. Class 0 has positive
            values, class 1 negative.
        noise: >= 0, the standard deviation of the noise on both coordinates.
        seed: an integer >= 0.

    Returns:
        `Toy(x, y)`: `(n, 2)` and `(n,)`, in random order.

    Raises:
        ValueError: for other arguments.

    Source: Towards Understanding the Data Dependency of Mixup-style Training, Sections 3.1 and F, with separations
    0.5 and 0.1; the data are those of Pezeshki et al. 2020, Figure 1 (n = 300, noise 0.1): what noise or shape takes
    across the line is reflected at it.

    Example:
        >>> from kmix_tf.analysis.toys import two_moons
        >>> x, y = two_moons(100, separation=0.1)
        >>> bool((x[y == 0, 0] >= 0.1).all()), bool((x[y == 1, 0] <= -0.1).all())
        (True, True)
    """
    n = _checks.integer("n", n, minimum=2)
    separation, noise = (
        _checks.number(name, value) for name, value in (("separation", separation), ("noise", noise))
    )
    generator = np.random.default_rng(_checks.integer("seed", seed, minimum=0))
    upper, lower = (np.linspace(0, np.pi, size) for size in (n - n // 2, n // 2))
    along = np.concatenate([np.cos(upper), 1 - np.cos(lower)]) - 0.5 + noise * generator.normal(size=n)
    # As scikit-learn draws them, the second half a radius above its circle; then each 0.3 away from the other.
    across = np.concatenate([np.sin(upper) + 0.3, 0.5 - np.sin(lower) - 0.3]) + noise * generator.normal(size=n)
    y = np.repeat([0, 1], [len(upper), len(lower)])
    side = 1 - 2 * y
    across = side * (np.abs(across - across.mean()) + separation)
    order = generator.permutation(n)
    return Toy(np.stack([across, along], axis=1)[order], y[order])
