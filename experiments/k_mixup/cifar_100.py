"""CIFAR-100, a PreActResNet-18: test errors by alpha and k"""

from experiments.k_mixup.large import experiment

EXPERIMENT = experiment(
    "k-mixup/cifar-100",
    "Table 12 (a), with another network",
    "CIFAR-100, a PreActResNet-18: test errors by alpha and k",
    data="CIFAR-100",
    network=["preact_resnet18", {"width": 64}],
    erm=18.91,
    alphas=[0.5, 1, 2, 4],
    printed="""
        1 28.52 27.76 20.45 21.53
        8 18.35 18.78 19.16 19.71
        16 18.33 18.31 18.53 18.85
    """,
    notes="""
The paper's network is a DenseNet-BC-190, which is not among ours: its errors are not to be expected here. Its mixup
at alpha = 0.5 and 1 has 28.5 and 27.8 %, beside 20.5 % at 2, and it says nothing of that.
""",
)
