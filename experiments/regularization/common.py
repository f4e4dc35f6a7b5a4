"""What the experiments of this paper share: its data and networks, its ways of training, and how these are scored."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from scipy.special import expit, softmax

from kmix_tf import BetaRatio, MixLayer, RescaledModel
from kmix_tf.analysis import approximate_mixup_risk, half_moons, modified_data, theta_moments
from kmix_tf.maths.losses import LOSSES
from kmix_tf.models import ApproximateMixupModel
from kmix_tf.paired import score

PLAIN, MIXUP, APPROXIMATE = "plain", "mixup", "approximate mixup"
SHRUNK, SMOOTHED = "plain on modified data", "label smoothing"
# Of confidences, which are 1/2 at least where there are two classes: shares of twenty bins of [0, 1].
BINS = 20


class Data(NamedTuple):
    """x, test_x: float32. y: targets as the network's outputs, float32. classes, test_classes: integers."""

    x: np.ndarray
    y: np.ndarray
    classes: np.ndarray
    test_x: np.ndarray
    test_classes: np.ndarray


def noisy_moons(seed: int) -> Data:
    """Section B.3: 150 points to train on, of whose labels 20 % are flipped, and 150 to test on."""
    x, y = half_moons(300, noise=0.01, flipped=0.2, train=0.5, seed=seed)
    x = x.astype(np.float32)
    return Data(x[:150], y[:150, np.newaxis].astype(np.float32), y[:150], x[150:], y[150:])


def digits(seed: int, size: int) -> Data:
    """scikit-learn's 1,797 digits of 8 x 8, in [0, 1]: `size` to train on, by the seed, the others to test on."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(x))
    x, y = x[order].reshape(-1, 8, 8, 1).astype(np.float32) / 16, y[order]
    return Data(x[:size], np.eye(10, dtype=np.float32)[y[:size]], y[:size], x[size:], y[size:])


def random_features(count: int, scale: float) -> keras.Model:
    """Section B.3: a logit that is linear in cosines of the input, and has no intercept."""
    of_frequencies, of_phases = (
        keras.initializers.RandomNormal(stddev=scale), keras.initializers.RandomUniform(0, 2 * np.pi),
    )  # fmt: skip
    return keras.Sequential(
        [
            keras.Input((2,)),
            keras.layers.Dense(count, tf.cos, True, of_frequencies, of_phases, trainable=False),
            keras.layers.Rescaling(count**-0.5),
            keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros"),
        ]
    )


def lenet() -> keras.Model:
    """LeNet's layers, for images of 8 x 8."""
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(6, 3, padding="same", activation="relu"),
            keras.layers.MaxPooling2D(),
            keras.layers.Conv2D(16, 3, padding="same", activation="relu"),
            keras.layers.MaxPooling2D(),
            keras.layers.Flatten(),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(32, activation="relu"),
            keras.layers.Dense(10),
        ]
    )


def mixing(alpha: float) -> MixLayer:
    """Mixup as the paper has it, each mixture with a ratio of its own."""
    return MixLayer(ratio=BetaRatio(alpha, scope="sample"))


def trained_on(arm: str, data: Data, alpha: float) -> tuple[np.ndarray, np.ndarray, MixLayer | None]:
    """Features and targets, float32, and what mixes them, of a way of training."""
    theta = theta_moments(alpha).mean
    if arm == SHRUNK:
        x, y = (values.astype(np.float32) for values in modified_data(data.x, data.y, alpha))
        return x, y, None
    y = data.y if arm != SMOOTHED else theta * data.y + (1 - theta) * data.y.mean(axis=0)
    return data.x, y, mixing(alpha) if arm == MIXUP else None


class Approximating(ApproximateMixupModel):
    """A `Trainer` gives every model a loss; this one has its own."""

    def compile(self, optimizer: Any = "rmsprop", loss: Any = None, **kwargs: Any) -> None:
        super().compile(optimizer, **kwargs)


def approximate(data: Data, alpha: float, loss: str, seed: int) -> Callable[[keras.Model], keras.Model]:
    """Makes of a network one that a `Trainer` trains by the approximate risk, without R2, as in the paper."""

    def wrap(network: keras.Model) -> keras.Model:
        model = Approximating(network, alpha, loss, seed=seed)
        model.adapt(data.x, data.y)
        return model

    return wrap


def rescaled(network: keras.Model, data: Data, alpha: float) -> keras.Model:
    """Eq. (22)."""
    model = RescaledModel(network, alpha)
    model.adapt(data.x, data.y)
    return model


def answers(model: keras.Model, x: np.ndarray, batch: int = 2048) -> np.ndarray:
    """Logits."""
    blocks = [np.asarray(model(x[start : start + batch], training=False)) for start in range(0, len(x), batch)]
    return np.concatenate(blocks)


def predicted(model: keras.Model, x: np.ndarray) -> np.ndarray:
    """Probabilities `(n, classes)`, float64, of logits; of one logit, those of two classes."""
    logits = answers(model, x).astype(np.float64)
    if logits.shape[1] > 1:
        return softmax(logits, axis=1)
    return np.concatenate([expit(-logits), expit(logits)], axis=1)


def scored(model: keras.Model, x: np.ndarray, classes: np.ndarray) -> dict[str, float]:
    """error, calibration, loss."""
    return dict(score(classes, predicted(model, x))._asdict())


def confidences(model: keras.Model, x: np.ndarray, with_histogram: bool = True) -> dict[str, Any]:
    """confidence: the mean, in percent; entropy in nats; histogram: the share of each bin, in percent."""
    probabilities = predicted(model, x)
    of_class = probabilities.max(axis=1)
    counts, _ = np.histogram(of_class, BINS, (0, 1))
    entropy = -(probabilities * np.log(np.maximum(probabilities, 1e-300))).sum(axis=1)
    found = {"confidence": 100 * float(of_class.mean()), "entropy": float(entropy.mean())}
    return {**found, "histogram": 100 * counts / len(x)} if with_histogram else found


def of_risk(network: keras.Model, data: Data, alpha: float, loss: str, count: int, seed: int) -> dict[str, float]:
    """Figure 3's loss on modified data and penalties, the sum of both, and mixup's risk, of `count` mixtures.

    R1 and R3 come as their sum: apart they hold inverses that need not exist.
    """
    risk = approximate_mixup_risk(network, data.x, data.y, alpha, loss)
    generator = np.random.default_rng(seed)
    first, second = generator.integers(len(data.x), size=(2, count))
    ratio = generator.beta(alpha, alpha, count)

    def mixed(values: np.ndarray) -> np.ndarray:
        of_first = ratio.reshape(-1, *[1] * (values.ndim - 1))
        return (of_first * values[first] + (1 - of_first) * values[second]).astype(np.float32)

    of_mixtures = LOSSES[loss].value(tf.constant(mixed(data.y)), tf.constant(answers(network, mixed(data.x))))
    return {
        "loss on modified data": risk.base, "R1 + R3": risk.r1 + risk.r3, "R2": risk.r2,
        "approximate risk": risk.total, "mixup's risk": float(np.mean(of_mixtures)),
    }  # fmt: skip


def over_alphas(
    data: Data, alphas: Sequence[float], train: Callable[..., keras.Model], look: Callable[..., dict]
) -> dict[str, dict[str, Any]]:
    """Figure 4: cells of plain training and mixup for each alpha, as they are and rescaled.

    train: `(layer) -> network`. look: `(model) -> measures`.
    """
    cells = {}
    network = train(None)
    cells[PLAIN] = look(network)
    for alpha in alphas:
        cells[rescaled_arm(PLAIN, alpha)] = look(rescaled(network, data, alpha))
    for alpha in alphas:
        network = train(mixing(alpha))
        cells[mixup_arm(alpha)] = look(network)
        cells[rescaled_arm(MIXUP, alpha)] = look(rescaled(network, data, alpha))
    return cells


def mixup_arm(alpha: float) -> str:
    return f"{MIXUP}, alpha = {alpha:g}"


def rescaled_arm(arm: str, alpha: float) -> str:
    return f"{arm}, alpha = {alpha:g}, rescaled"
