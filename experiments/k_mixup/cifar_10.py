"""CIFAR-10, a PreActResNet-18: test errors by alpha and k"""

from experiments.k_mixup.large import experiment

EXPERIMENT = experiment(
    "k-mixup/cifar-10",
    "Table 10",
    "CIFAR-10, a PreActResNet-18: test errors by alpha and k",
    data="CIFAR-10",
    network=["preact_resnet18", {"width": 64}],
    erm=5.6,
    alphas=[0.05, 0.1, 0.2, 0.5, 1, 10, 100],
    printed="""
        1 5.01 4.68 4.41 4.24 4.18 4.95 5.67
        2 4.92 4.69 4.46 4.13 4.03 4.58 5.46
        4 4.88 4.68 4.52 4.13 4.03 4.48 5.19
        8 4.91 4.77 4.51 4.21 4.08 4.42 4.92
        16 4.92 4.77 4.48 4.23 4.02 4.40 4.75
        32 4.98 4.78 4.58 4.24 4.16 4.36 4.48
    """,
)
