"""The tables and figures of the k-mixup paper, and what else of it is measured."""

_LARGE = "needs {} and days on graphics cards, more than a small machine has; k-mixup/digits asks the same of digits"
_ELSEWHERE = "runs elsewhere: {} for 200 epochs, months on a small machine; k-mixup/digits asks the same of digits"

ITEMS = [
    ("Table 1", "", "the sum of Tables 2, 3 and 10 to 12, 3,680 networks; see those"),
    ("Table 2", "k-mixup/digits", ""),
    ("Table 3", "", _LARGE.format("Tiny ImageNet, a ResNet-18")),
    ("Table 4", "k-mixup/table-4", ""),
    (
        "Table 5",
        "k-mixup/speech-commands",
        "runs elsewhere: 85,000 spectrograms; 12 classes of them, where the paper has 30",
    ),
    ("Table 6", "k-mixup/digits", ""),
    ("Table 7", "k-mixup/digits", ""),
    ("Table 8", "k-mixup/table-8", ""),
    ("Table 9", "k-mixup/table-9", ""),
    ("Table 10", "k-mixup/cifar-10", _ELSEWHERE.format("43 ResNet-18s")),
    ("Table 11", "", _LARGE.format("CIFAR-10, a DenseNet-190 and a WideResNet-101")),
    ("Table 12", "k-mixup/svhn", _ELSEWHERE.format("SVHN, 26 ResNet-18s")),
    (
        "Table 12 (a), with a ResNet-18",
        "k-mixup/cifar-100",
        _ELSEWHERE.format("13 ResNet-18s in place of a DenseNet-190"),
    ),
    ("Figure 1", "k-mixup/figure-1", ""),
    ("Figure 2", "k-mixup/figure-2", ""),
    ("Figure 3", "k-mixup/figure-3", ""),
    ("Figure 4", "k-mixup/figure-4", "a drawing without numbers; what it is drawn for, Proposition 3.2, is measured"),
    ("Figure 5", "", "a program, and it is this package; kmix_tf.KMixupLayer says where they differ"),
    ("Figure 6", "k-mixup/figure-6", ""),
    ("Figure 7", "k-mixup/figure-3", ""),
    ("Lemma 3.3, Theorems 3.4 and 3.5", "k-mixup/clusters", ""),
    ("Footnote 1, Section J", "k-mixup/nearest-neighbors", ""),
    ("Section 5.1, cost", "k-mixup/overhead", ""),
]
