"""CIFAR-100: Local Mixup, mixup and plain training"""

from experiments.local_mixup.large import experiment

EXPERIMENT = experiment("local-mixup/cifar-100", "CIFAR-100", ["resnet", {"width": 64}], 30.6, 29.23, 29.08, 0.001)
