"""The paper's tables and figures: the experiment of each, or why there is none."""

_IMAGENET = "needs ImageNet: 1.3 million images, weeks on a small machine"
ITEMS = [
    ("Figure 1", "", "a drawing without numbers"),
    ("Figure 2", "multi-mix/figure-3", ""),
    ("Figure 3", "multi-mix/figure-3", ""),
    ("Figure 4", "multi-mix/figure-4", ""),
    ("Figure 5", "", "examples of Table VI: needs CUB-200 and networks trained on ImageNet"),
    ("Figure 6", "multi-mix/table-1", ""),
    ("Figure 7", "multi-mix/figure-7", ""),
    ("Figure 8", "multi-mix/figure-8", ""),
    ("Table I", "multi-mix/table-1", "without co-mixup, which compared/digits and compared/photographs have"),
    (
        "Table I, on CIFAR-100",
        "multi-mix/cifar-100",
        "runs elsewhere: six WRN-16-8s of 300 epochs, months on a small machine",
    ),
    ("Table II", "multi-mix/table-2", ""),
    ("Table III", "", _IMAGENET),
    ("Table IV", "", f"localization by the networks of Table III: {_IMAGENET}"),
    ("Table V", "multi-mix/table-1", ""),
    ("Table VI", "", f"needs CUB-200 and the networks of Table III: {_IMAGENET}"),
    ("Table VII", "", "needs Google's speech commands: 65,000 recordings and VGG-11, days on a small machine"),
    ("Table VIII", "multi-mix/table-1", ""),
    ("Beyond the paper: where five interpolations help", "multi-mix/regimes", ""),
    ("Proposition III.1", "multi-mix/figure-8", ""),
    ("Proposition III.2", "multi-mix/figure-8", ""),
]
