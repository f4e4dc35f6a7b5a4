"""Two interlocking half circles, as the papers bend them."""

import numpy as np

from kmix_tf import _checks
from kmix_tf.analysis.toys.base import Toy, asked, shuffled, two_classes, with_flips


@_checks.speaks
def half_moons(n: int = 300, noise: float = 0.01, flipped: float = 0.0, train: float = 0.5, seed: int = 0) -> Toy:
    """Two interlocking half circles, as scikit-learn's `make_moons` draws them.

    Args:
        n: an integer >= 2; the classes differ by at most one sample.
        noise: >= 0, the standard deviation of the noise on both coordinates.
        flipped: a share in [0, 1] of the labels to train on, which are turned into the other class. The paper's is
            0.2.
        train: a share in [0, 1]: so many of the samples, the first ones, are to train on; the others keep their
            labels.
        seed: an integer >= 0. The samples are the same for every `flipped` and `train`.

    Returns:
        `Toy(x, y)`: `(n, 2)` and `(n,)`, in random order.

    Raises:
        ValueError: for other arguments.

    Source: On Mixup Regularization, Section B.3: n = 300, noise 0.01, half of them to train on, of whose labels 20 %
    are flipped. Same curves as scikit-learn's, other random numbers.

    Example:
        >>> from kmix_tf.analysis import half_moons
        >>> x, y = half_moons(flipped=0.2)
        >>> wrong = y != half_moons().y
        >>> int(wrong[:150].sum()), int(wrong[150:].sum())
        (30, 0)
    """
    n, generator = asked(n, seed)
    noise = _checks.number("noise", noise)
    # Where n is odd, scikit-learn's second class has one more.
    sizes = n // 2, n - n // 2
    clean, y = np.concatenate(_half_circles(*sizes)), np.repeat(np.arange(2, dtype=np.int64), sizes)
    toy = shuffled(clean + noise * generator.normal(size=clean.shape), y, generator)
    return with_flips(toy, flipped, train, generator)


def _half_circles(upper: int, lower: int) -> tuple[np.ndarray, np.ndarray]:
    """So many points of each, evenly spaced from end to end: scikit-learn's two moons without noise."""
    first, second = (np.linspace(0, np.pi, size) for size in (upper, lower))
    return (
        np.stack([np.cos(first), np.sin(first)], axis=1),
        np.stack([1 - np.cos(second), 0.5 - np.sin(second)], axis=1),
    )


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
    n, generator = asked(n, seed)
    separation, noise = _checks.number("separation", separation), _checks.number("noise", noise)
    upper, lower = _half_circles(n - n // 2, n // 2)
    along = np.concatenate([upper[:, 0], lower[:, 0]]) - 0.5 + noise * generator.normal(size=n)
    # Each half circle is moved 0.3 away from the other.
    across = np.concatenate([upper[:, 1] + 0.3, lower[:, 1] - 0.3]) + noise * generator.normal(size=n)
    y = two_classes(n)
    across = (1 - 2 * y) * (np.abs(across - across.mean()) + separation)
    return shuffled(np.stack([across, along], axis=1), y, generator)
