"""The ways of training that the demo compares: they differ in the mix alone."""

from typing import NamedTuple

import numpy as np

from kmix_tf.analysis import matched_alpha
from kmix_tf.layers import KMixupLayer

PLAIN = "no mixing"
# Of mixup: half of Keras' default, a usual choice; and the paper's.
ALPHAS = (0.2, 1.0)
K = 16
# The paper's threshold gamma: where no alpha makes k-mixup perturb as much as mixup does, this is taken.
LARGEST = 64.0
# Samples that distances are measured on.
_MEASURED = 10_000


class Arm(NamedTuple):
    """k = 0 stands for no mixing. perturbation: root mean squared distance of a mixture from its nearer sample."""

    k: int
    alpha: float
    perturbation: float

    def layer(self, classes: int) -> KMixupLayer:
        """That mixes, or makes labels soft and mixes nothing."""
        return KMixupLayer(max(self.k, 1), self.alpha, num_classes=classes)


def mixup(alpha: float) -> str:
    """The name of the arm of plain mixup, which has its alpha."""
    return f"mixup {alpha:g}"


def kmixup(alpha: float) -> str:
    """The name of the arm of k-mixup that perturbs as much as plain mixup with alpha, whose alpha it has not."""
    return f"k-mixup {alpha:g}"


def arms(x: np.ndarray, alphas: tuple[float, ...] = ALPHAS) -> dict[str, Arm]:
    """No mixing; plain mixup; and k-mixup with the alpha at which it perturbs as much, or as much as it can."""
    flat = x.reshape(len(x), -1)[:_MEASURED]
    k = max(1, min(K, len(x) // 2))
    found = [matched_alpha(flat, k, alpha, largest=LARGEST, precision=0.1) for alpha in alphas]
    plain = [Arm(1, alpha, each.plain_perturbation) for alpha, each in zip(alphas, found, strict=True)]
    matched = [Arm(k, each.alpha, each.perturbation) for each in found]
    return {
        PLAIN: Arm(0, 0.0, 0.0),
        **{mixup(alpha): arm for alpha, arm in zip(alphas, plain, strict=True)},
        **{kmixup(alpha): arm for alpha, arm in zip(alphas, matched, strict=True)},
    }


def rivals(alphas: tuple[float, ...] = ALPHAS) -> list[tuple[str, str]]:
    """Which arms are compared: every mix with none, and k-mixup with the mixup that perturbs as much."""
    mixes = [*map(mixup, alphas), *map(kmixup, alphas)]
    return [*((mix, PLAIN) for mix in mixes), *((kmixup(alpha), mixup(alpha)) for alpha in alphas)]
