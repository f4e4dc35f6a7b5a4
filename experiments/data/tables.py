"""Small data sets that scikit-learn brings along: no download. They are split by the seed, evenly by class."""

import numpy as np
from sklearn import datasets
from sklearn.model_selection import train_test_split

from experiments.data.common import Data, checked


def digits(seed, train=1000):
    """1,797 handwritten digits: uint8 `(n, 8, 8, 1)` of values 0 ... 16. train: how many are for training."""
    x, y = datasets.load_digits(return_X_y=True)
    return _split("digits", x.astype(np.uint8).reshape(-1, 8, 8, 1), y, seed, train)


def iris(seed, train=120):
    """150 flowers of 3 kinds, 4 columns. The k-mixup paper does not say how it splits; 120 and 30 are ours."""
    return _split("iris", *datasets.load_iris(return_X_y=True), seed, train)


def breast_cancer(seed, train=455):
    """569 tumours of 2 kinds, 30 columns. The k-mixup paper does not say how it splits; 455 and 114 are ours."""
    return _split("breast cancer", *datasets.load_breast_cancer(return_X_y=True), seed, train)


def _split(name, x, y, seed, train):
    if x.ndim == 2:
        x = x.astype(np.float32)
    classes = int(y.max()) + 1
    if not classes <= train <= len(x) - classes:
        raise ValueError(f"{name}: train must be in {classes} ... {len(x) - classes}. Received: train={train}.")
    x_train, x_test, y_train, y_test = train_test_split(x, y, train_size=train, random_state=seed, stratify=y)
    return checked(Data(x_train, y_train, x_test, y_test, classes, name), x.shape[1:])
