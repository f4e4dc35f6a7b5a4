"""SVHN: Local Mixup, mixup and plain training"""

from experiments.local_mixup.large import experiment

EXPERIMENT = experiment("local-mixup/svhn", "SVHN", ["lenet", {}], 10.01, 8.31, 8.0, 0.001)
