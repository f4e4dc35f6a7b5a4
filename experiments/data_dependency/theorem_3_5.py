"""Linear models in many dimensions: mixup learns the max-margin classifier, as plain training does

Gaussian points are classified without a bias. A linear model of more dimensions than points can give them any values:
mixup's loss is minimised over these values, with a quadrature for the ratios, and the least weights that give them
are compared with those of a support vector machine.
"""

import keras
import numpy as np
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.svm import SVC

from experiments.data_dependency.common import batches
from kmix_tf import BetaRatio, MixLayer, OtherClassPairing
from kmix_tf.analysis.risk import beta_quadrature
from kmix_tf.paired import AtLeast, AtMost, Claim, Experiment, Less, Trainer

# Symmetric laws of the ratio: nodes and weights.
LAWS = {
    "alpha = 1": lambda: beta_quadrature(1.0, 64),
    "alpha = 32": lambda: beta_quadrature(32.0, 64),
    "ratios 1/4 and 3/4": lambda: (np.array([0.25, 0.75]), np.array([0.5, 0.5])),
}
EARLY, LATE = "no mixing, a hundredth of the steps of gradient descent", "no mixing, by gradient descent"
TRAINED = "10 + 10, our layer, alpha = 1, by gradient descent"


def measure(seed, many, few, steps, trained):
    """Angles to the max-margin classifier, in degrees, and how unequal the margins of the points are, in percent."""
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(20, many))
    even, uneven = np.repeat([1, -1], [10, 10]), np.repeat([1, -1], [15, 5])
    cells = {arm(10, name): _found(x, even, _values(even, law(), False)) for name, law in LAWS.items()}
    cells[arm(15, "alpha = 1")] = _found(x, uneven, _values(uneven, LAWS["alpha = 1"](), False))
    cells[arm(10, "alpha = 1", "all pairs")] = _found(x, even, _values(even, LAWS["alpha = 1"](), True))
    cells[arm(15, "alpha = 1", "all pairs")] = _found(x, uneven, _values(uneven, LAWS["alpha = 1"](), True))
    near = x[:, :few]
    cells[f"{few} dimensions, alpha = 1"] = _found(near, even, _values(even, LAWS["alpha = 1"](), False))
    cells[EARLY] = _found(x, even, _descended(x @ x.T, even, steps // 100))
    cells[LATE] = _found(x, even, _descended(x @ x.T, even, steps))
    cells[TRAINED] = _found(x, even, _trained(x, even, seed, trained))
    return cells


def arm(of_first, law, pairs="different classes"):
    return f"{of_first} + {20 - of_first}, {pairs}, {law}"


def _values(y, law, is_same_too):
    """The model's values at the points that minimise mixup's loss, all pairs with equal weights."""
    first, second = np.nonzero(np.ones((20, 20), bool) if is_same_too else y[:, None] != y)
    ratio, weight = (each[:, None] for each in law)
    target = ratio * (y[first] > 0) + (1 - ratio) * (y[second] > 0)

    def loss(values):
        mixed = ratio * values[first] + (1 - ratio) * values[second]
        slope = weight * (expit(mixed) - target) / len(first)
        of_first, of_second = (ratio * slope).sum(axis=0), ((1 - ratio) * slope).sum(axis=0)
        gradient = np.bincount(first, of_first, 20) + np.bincount(second, of_second, 20)
        return float((weight * (np.logaddexp(0, mixed) - target * mixed)).sum() / len(first)), gradient

    return minimize(loss, np.zeros(20), jac=True, method="BFGS", options={"gtol": 1e-10, "maxiter": 2000}).x


def _descended(gram, y, steps):
    """The values after so many steps of gradient descent on the logistic loss, from 0."""
    values, rate = np.zeros(len(y)), 4 * len(y) / np.linalg.eigvalsh(gram)[-1]
    for _ in range(steps):
        values = values + rate * gram @ (y * expit(-y * values)) / len(y)
    return values


def _trained(x, y, seed, steps):
    """The values of a linear network that is trained on mixtures of our layer."""

    def network():
        zeros = keras.initializers.Zeros()
        return keras.Sequential(
            [
                keras.Input((x.shape[1],)),
                keras.layers.Dense(2, use_bias=False, kernel_initializer=zeros),
            ]
        )

    def optimizer():
        return keras.optimizers.SGD(keras.optimizers.schedules.CosineDecay(0.02, steps))

    mixing = MixLayer(OtherClassPairing(), BetaRatio(1.0, scope="sample"), num_classes=2)
    dataset = batches(x.astype(np.float32), (y > 0).astype(np.int32), len(x), seed, mixing)
    kernel = Trainer(network, optimizer).run(dataset, steps, seed).get_weights()[0]
    return x @ (kernel[:, 1] - kernel[:, 0]).astype(np.float64)


def _found(x, y, values):
    # Mirrored, the points ask for no bias, which the theorem has not and the machine has.
    machine = SVC(kernel="linear", C=1e10, tol=1e-9).fit(np.vstack([x, -x]), np.concatenate([y, -y]))
    margin, weights = machine.coef_[0], np.linalg.pinv(x) @ values
    margins = y * (x @ margin)
    return {
        "angle": _degrees(margin, weights),
        "unequal margins": 100 * float((y * values).std() / (y * values).mean()),
        "support vectors": float(np.isclose(margins, margins.min(), rtol=1e-6).sum()),
    }


def _degrees(first, second):
    """Right also for angles near 0."""
    first, second = first / np.linalg.norm(first), second / np.linalg.norm(second)
    return float(np.degrees(2 * np.arctan2(np.linalg.norm(first - second), np.linalg.norm(first + second))))


HELD = [arm(10, name) for name in LAWS] + [arm(15, "alpha = 1")]

EXPERIMENT = Experiment(
    name="data-dependency/theorem-3-5",
    items="Theorem 3.5, Lemma 3.7, Corollary 3.8",
    title="Linear models in many dimensions: mixup learns the max-margin classifier, as plain training does",
    measure=measure,
    settings={"many": 700, "few": 30, "steps": 20000, "trained": 3000},
    quick={"steps": 2000, "trained": 100},
    seeds=10,
    claims=[
        Claim("in more than 10 n ln n + n - 1 dimensions, as in 700 with 20 points, all points are support vectors",
              AtLeast("support vectors", HELD[0], 19.5), "at least 0.9 of all draws", unit=""),
        *(
            Claim(f"mixup's classifier is the max-margin one, to 0.01 degrees: {name}",
                  AtMost("angle", name, 0.01), "the same", unit="degrees")
            for name in HELD
        ),
        Claim("gradient descent without mixing comes nearer to the max-margin classifier with more steps",
              Less("angle", LATE, EARLY), "the same in the limit", unit="degrees"),
        Claim("mixup with all pairs, of 10 and 10 points, gives the max-margin classifier, to 0.01 degrees",
              AtMost("angle", arm(10, "alpha = 1", "all pairs"), 0.01), unit="degrees", ours=True),
        Claim("mixup with all pairs, of 15 and 5 points, gives a classifier over 1 degree from the max-margin one",
              AtLeast("angle", arm(15, "alpha = 1", "all pairs"), 1.0), unit="degrees", ours=True),
        Claim("in 30 dimensions, where not all are support vectors, mixup's is over 1 degree from the max-margin one",
              AtLeast("angle", "30 dimensions, alpha = 1", 1.0), unit="degrees"),
    ],
    notes="""angle: from the max-margin classifier, in degrees. unequal margins: standard deviation of the points'
margins as a part of their mean, in percent; 0 means an interpolating solution. support vectors: of 20 points.

The theorem's loss has pairs of different classes only. With all pairs, as mixup is used, mixtures of one
class push that class on: with equal numbers both classes alike, with unequal numbers the larger one more, and
the margins of the classes differ. Where not all points are support vectors, mixup still makes the margins
equal, and so is another classifier.""",
)  # fmt: skip
