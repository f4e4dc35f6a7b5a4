"""Two arms that coil around each other, a class each: mixtures of two points of one fall on the other."""

import numpy as np

from kmix_tf import _checks
from kmix_tf.analysis.toys.base import Toy, asked, shuffled, two_classes, with_flips


@_checks.speaks
def swiss_roll(n: int = 512, seed: int = 0) -> Toy:
    """Two arms of one and a half turns, without noise, seen from the side: a curve in the plane.

    The arm of class 0 has the angles 1.5 pi to 4.5 pi and the radii 2.2 to 6.6, evenly drawn together, as in
    scikit-learn's `make_swiss_roll`; class 1's is turned by pi.

    Args:
        n: an integer >= 2; the classes differ by at most one sample.
        seed: an integer >= 0.

    Returns:
        `Toy(x, y)`: `(n, 2)` and `(n,)`, in random order.

    Raises:
        ValueError: for other arguments.

    Source: k-mixup, Figures 1 to 3 and Table 9 (c). The paper prints no geometry and no size. Its figures are plane,
    and Section J speaks of "the interwoven arms of the spirals". The radii were inferred: `perturbation` of many
    samples rounds to the xi that the table prints for k = 1 and each alpha, 1.2 to 3.0. So does that of other spirals
    whose mean squared distance between samples is 41.9.

    Example:
        >>> from kmix_tf.analysis import swiss_roll
        >>> radius = np.hypot(*swiss_roll().x.T)
        >>> radius.min().item() > 2.2, radius.max().item() < 6.6
        (True, True)
    """
    n, generator = asked(n, seed)
    along = 1 + 2 * generator.random(n)
    return shuffled(*_arms(2.2 * along, 1.5 * np.pi * along), generator)


@_checks.speaks
def coiling_spirals(n: int = 2000, thickness: float = 1.5, noise: str = "normal", seed: int = 0) -> Toy:
    """Two thick arms of two turns: mixtures of distant samples are misleading, those of near ones are not.

    The arm of class 0 is t (-cos t, sin t) with t = 4 pi sqrt(u), u uniform in [0, 1), plus noise on both
    coordinates. Class 1 has the same points with the opposite sign. Then both coordinates are brought to mean 0 and
    variance 1, so that most distances between samples are below 4.

    Args:
        n: an integer >= 2; the classes differ by at most one sample.
        thickness: >= 0, how large the noise is, before scaling.
        noise: "normal", of standard deviation `thickness`; or "uniform", in [0, `thickness`). The arms lie 3.1 apart:
            normal noise of 1.5 makes them overlap.
        seed: an integer >= 0.

    Returns:
        `Toy(x, y)`: `(n, 2)` and `(n,)`, in random order.

    Raises:
        ValueError: for other arguments.

    Source: Preventing Manifold Intrusion with Locality: Local Mixup, Section 5.1 and Figure 3: 1000 samples of each
    class, Gaussian noise with sigma = 1.5. The paper prints no curve; this is that of the authors' published code.
    That code and the data beside it have less noise than the text says: `thickness=0.5, noise="uniform"`.

    Example:
        >>> from kmix_tf.analysis import coiling_spirals
        >>> x, y = coiling_spirals(100)
        >>> x.mean(0).round(6) + 0.0, x.std(0).round(6)
        (array([0., 0.]), array([1., 1.]))
    """
    n, generator = asked(n, seed)
    thickness = _checks.number("thickness", thickness)
    draw = generator.normal if _checks.choice("noise", noise, ("normal", "uniform")) == "normal" else generator.random
    half = n - n // 2
    angle = 4 * np.pi * np.sqrt(generator.random(half))
    arm = angle[:, np.newaxis] * np.stack([-np.cos(angle), np.sin(angle)], axis=1) + thickness * draw(size=(half, 2))
    x = np.concatenate([arm, -arm[: n // 2]])
    return shuffled((x - x.mean(0)) / x.std(0), two_classes(n), generator)


@_checks.speaks
def noisy_spiral(n: int = 1000, flipped: float = 0.2, train: float = 0.4, seed: int = 0) -> Toy:
    """Two thin arms from the origin, of which some labels to train on are wrong.

    The arm of class 0 is r (sin t, cos t), r = 5 u and t = 3.5 pi u, u uniform in [0, 1); class 1's is turned by pi.

    Args:
        n: an integer >= 2; the classes differ by at most one sample before labels are flipped.
        flipped: a share in [0, 1] of the labels to train on, which are turned into the other class.
        train: a share in [0, 1]: so many of the samples, the first ones, are to train on; the others keep their
            labels.
        seed: an integer >= 0. The samples are the same for every `flipped` and `train`.

    Returns:
        `Toy(x, y)`: `(n, 2)` and `(n,)`, in random order.

    Raises:
        ValueError: for other arguments.

    Source: Multi-mix, Section IV-A and Figure 4: 1000 samples, 40 % of them to train on, of whose labels 20 % are
    flipped. The paper prints no curve and refers to Manifold Mixup. This one is our choice: the spiral of TensorFlow
    Playground, of one and three quarter turns.

    Example:
        >>> from kmix_tf.analysis import noisy_spiral
        >>> x, y = noisy_spiral()
        >>> wrong = y != noisy_spiral(flipped=0.0).y
        >>> int(wrong[:400].sum()), int(wrong[400:].sum())
        (80, 0)
    """
    n, generator = asked(n, seed)
    along = generator.random(n)
    toy = shuffled(*_arms(5 * along, 3.5 * np.pi * along, from_above=True), generator)
    return with_flips(toy, flipped, train, generator)


def _arms(radius: np.ndarray, angle: np.ndarray, from_above: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Points of these radii and angles, the second class turned by pi, and their classes."""
    y = two_classes(len(radius))
    axes = (np.sin, np.cos) if from_above else (np.cos, np.sin)
    return np.stack([(1 - 2 * y) * radius * axis(angle) for axis in axes], axis=1), y
