"""Every table and figure of the paper: the experiment that makes it, or why none does."""

_FAR = "needs CIFAR, SVHN and a ResNet: 100 runs of 200 epochs, weeks on two cores"
ITEMS = [
    ("Figure 1", "local-mixup/figure-1", ""),
    ("Figure 2", "local-mixup/figure-2", ""),
    ("Lemmas 3.1 and 4.1, Theorem 4.2", "local-mixup/figure-2", ""),
    ("Theorems 4.4 and 4.5", "local-mixup/theorems", ""),
    ("Figure 3", "local-mixup/figure-4", ""),
    ("Figure 4", "local-mixup/figure-4", ""),
    ("Figure 4, with the data of the authors' code", "local-mixup/figure-4-published", ""),
    ("Figure 4, as the authors' notebook makes it", "local-mixup/figure-4-notebook", ""),
    ("Figure 5, Theorem 4.6", "local-mixup/figure-5", "on digits; CIFAR-10's 50,000 images have 125 million segments"),
    ("Table 1", "local-mixup/table-1", f"in shape, on small data; the paper's {_FAR}"),
    ("Table 2", "local-mixup/table-1", f"in shape, on digits; the paper's {_FAR}"),
    ("Figure 6", "local-mixup/figure-6", "on digits instead of MNIST"),
    ("Table 3", "local-mixup/table-3", f"in shape, on digits; the paper's {_FAR}"),
    ("Section 5.3, Inter and Intra Mixup", "local-mixup/table-3", "on digits instead of CIFAR-10"),
    ("Figure 7", "local-mixup/table-1", "in shape, on small data"),
]
