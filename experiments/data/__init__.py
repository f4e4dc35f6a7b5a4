"""The papers' data sets: each loader returns a `Data`, and says what to do where it finds none.

>>> digits(seed=0, train=1000).x_train.shape
(1000, 8, 8, 1)
"""

from experiments.data.cifar import cifar10, cifar100
from experiments.data.common import Data, DataNotFound, scaled
from experiments.data.grey import fashion_mnist, mnist
from experiments.data.speech import spectrograms, speech_commands
from experiments.data.street import svhn
from experiments.data.tables import breast_cancer, digits, iris

__all__ = [
    "Data",
    "DataNotFound",
    "breast_cancer",
    "cifar10",
    "cifar100",
    "digits",
    "fashion_mnist",
    "iris",
    "mnist",
    "scaled",
    "spectrograms",
    "speech_commands",
    "svhn",
]
