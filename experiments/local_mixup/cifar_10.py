"""CIFAR-10: Local Mixup, mixup and plain training"""

from experiments.local_mixup.large import experiment

EXPERIMENT = experiment("local-mixup/cifar-10", "CIFAR-10", ["resnet", {"width": 64}], 4.98, 4.13, 4.03, 0.003)
