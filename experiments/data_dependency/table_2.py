"""How near mixtures come to samples of classes that have no part in them, in training and test data

Each training sample is mixed once with one drawn from all. Of each sample, the nearest mixture of other classes
counts.
"""

import numpy as np
from scipy.spatial.distance import cdist
from sklearn import datasets
from sklearn.model_selection import train_test_split

from kmix_tf.paired import Claim, Experiment, More

SOURCES = {"digits": datasets.load_digits, "iris": datasets.load_iris, "wine": datasets.load_wine}
WITHOUT = "the samples themselves"


def measure(seed, names, alphas):
    """By data and alpha, distances of training and test samples, the least and the mean."""
    cells = {}
    for name in names:
        x, y = SOURCES[name](return_X_y=True)
        parts = train_test_split(standard(x, name), y, test_size=0.2, random_state=seed, stratify=y)
        for alpha in (0, *alphas):
            cells[arm(name, alpha)] = _found(*parts, alpha, seed)
    return cells


def arm(name, alpha):
    return f"{name}, {f'alpha = {alpha:g}' if alpha else WITHOUT}"


def standard(x, name):
    """Mean 0 and standard deviation 1: of all pixels together, as the authors', or of each column."""
    axis = None if name == "digits" else 0
    return (x - x.mean(axis=axis)) / x.std(axis=axis)


def _found(x, x_test, y, y_test, alpha, seed):
    mixed, ends = mixtures(x, y, alpha, seed)
    train, test = distances(x, y, mixed, ends), distances(x_test, y_test, mixed, ends)
    # The least of more samples is less: as many of the training data as there are of the test data.
    fewer = np.random.default_rng(seed).permutation(len(train))[: len(test)]
    return {
        "train, least": train.min(), "test, least": test.min(), "as many of train, least": train[fewer].min(),
        "train, mean": train.mean(), "test, mean": test.mean(),
    }  # fmt: skip


def mixtures(x, y, alpha, seed):
    """One epoch, `(n, d)`, and the two classes of each, `(2, n)`."""
    generator = np.random.default_rng(seed)
    partner = generator.integers(len(x), size=len(x))
    ratio = generator.beta(alpha, alpha, len(x)) if alpha else np.ones(len(x))
    return ratio[:, None] * x + (1 - ratio[:, None]) * x[partner], np.stack([y, y[partner] if alpha else y])


def distances(x, y, mixed, ends):
    """Of each sample, to the nearest mixture without its class."""
    apart = cdist(x, mixed)
    apart[(y[:, None] == ends[0]) | (y[:, None] == ends[1])] = np.inf
    return apart.min(axis=1)


def _farther(name, than):
    """An effect: how much farther test samples are from mixtures than training samples."""
    return lambda cells: cells[arm(name, 1024)]["test, least"] - cells[arm(name, 1024)][than]


PRINTED = {"digits": "11.9 and 11.4, of MNIST"}

EXPERIMENT = Experiment(
    name="data-dependency/table-2",
    items="Table 2",
    title="How near mixtures come to samples of classes that have no part in them, in training and test data",
    measure=measure,
    settings={"names": list(SOURCES), "alphas": [1, 1024]},
    quick={"alphas": [1024]},
    seeds=20,
    claims=[
        *(
            Claim(f"{name}: mixtures come no nearer to a sample than samples of other classes do, alpha = 1024",
                  More("train, least", arm(name, 1024), arm(name, 0)), unit="")
            for name in SOURCES
        ),
        *(
            Claim(f"{name}: test samples are no nearer to mixtures than training samples, alpha = 1024",
                  _farther(name, "train, least"), PRINTED.get(name, ""), unit="")
            for name in SOURCES
        ),
        *(
            Claim(f"{name}: test samples are no nearer to mixtures than as many training samples, alpha = 1024",
                  _farther(name, "as many of train, least"), unit="", ours=True)
            for name in SOURCES
        ),
    ],
    notes="""Least and mean Euclidean distances of samples from the nearest mixture of other classes than theirs;
mixtures of two samples of one other class count, too, as in the authors' code. The paper takes a fifth of
MNIST, CIFAR-10 and CIFAR-100, standardised, and alpha = 1024; here the data are three that come with
scikit-learn, standardised, four fifths of them for training. Distances depend on the dimension and the data:
the paper's (train and test: 11.4 and 11.9, 17.7 and 22.1, 12.9 and 15.1) are not to be compared with ours.
Their published run also prints the means: 19.76 and 19.78, 49.03 and 49.04, 36.84 and 37.13.

What is small, then? The first row of each data set says how near samples of other classes are themselves: a
classifier has to tell those apart, mixing or not. The least of all test samples is larger than that of the
training samples in the paper, but its training samples are five or six times as many, and the least of more
is less: of as many, the last claims tell.""",
)  # fmt: skip
