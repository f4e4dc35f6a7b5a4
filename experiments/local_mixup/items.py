"""Every table and figure of the paper: the experiment that makes it, or why none does."""

_FAR = "a ResNet on CIFAR or SVHN, for 10 to 100 runs: weeks on a small machine"
_ELSEWHERE = "runs elsewhere: three {} of 200 epochs, for each of 10 to 100 seeds"
ITEMS = [
    ("Figure 1", "local-mixup/figure-1", ""),
    ("Figure 2", "local-mixup/figure-2", ""),
    ("Lemmas 3.1 and 4.1, Theorem 4.2", "local-mixup/figure-2", ""),
    ("Theorems 4.4 and 4.5", "local-mixup/theorems", ""),
    ("Figure 3", "local-mixup/figure-4", ""),
    ("Figure 4", "local-mixup/figure-4", ""),
    ("Figure 4, with the data of the authors' code", "local-mixup/figure-4-published", ""),
    ("Figure 4, as the authors' notebook makes it", "local-mixup/figure-4-notebook", ""),
    ("Figure 5 and Theorem 4.6, on digits", "local-mixup/figure-5", ""),
    ("Figure 5, on CIFAR-10", "", "125 million segments of one class, each to be compared with all others"),
    ("Table 1, in shape on small data", "local-mixup/table-1", ""),
    (
        "Table 1, Fashion-MNIST",
        "local-mixup/fashion-mnist",
        "a small network: a DenseNet takes days on a small machine",
    ),
    ("Table 1, CIFAR-10", "local-mixup/cifar-10", _ELSEWHERE.format("ResNet-18s")),
    ("Table 1, CIFAR-100", "local-mixup/cifar-100", _ELSEWHERE.format("ResNet-18s")),
    ("Table 1, SVHN", "local-mixup/svhn", _ELSEWHERE.format("LeNets")),
    ("Table 2, in shape on digits", "local-mixup/table-1", ""),
    ("Table 2, on CIFAR-10", "", _FAR),
    ("Figure 6, on digits", "local-mixup/figure-6", ""),
    ("Figure 6, on MNIST", "", "AdaMixup on 60,000 images, hours on a small machine; see compared/digits"),
    ("Table 3, in shape on digits", "local-mixup/table-3", ""),
    ("Table 3, on CIFAR-10", "", _FAR),
    ("Section 5.3, Inter and Intra Mixup, on digits", "local-mixup/table-3", ""),
    ("Figure 7, in shape on small data", "local-mixup/table-1", ""),
    ("Figure 7, on Fashion-MNIST, CIFAR-10 and SVHN", "", _FAR),
]
