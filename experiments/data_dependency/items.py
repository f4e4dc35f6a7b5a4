"""Every table and figure of the paper, and theorems: the experiment that makes it, or why none does."""

_DRAWING = "a drawing without numbers"
_IMAGES = "on scikit-learn's data, in place of MNIST, CIFAR-10 and CIFAR-100"

ITEMS: list[tuple[str, str, str]] = [
    ("Table 1", "data-dependency/table-1", ""),
    ("Table 2", "data-dependency/table-2", _IMAGES),
    ("Figure 1", "data-dependency/table-1", ""),
    ("Figure 2", "data-dependency/figure-2", _IMAGES),
    ("Figure 3", "data-dependency/figure-3", ""),
    ("Figure 4", "", _DRAWING),
    ("Figure 5", "", _DRAWING),
    ("Figure 6", "", _DRAWING),
    ("Figure 7", "", _DRAWING),
    ("Figure 8", "data-dependency/figure-8", ""),
    ("Figure 9", "data-dependency/figure-2", _IMAGES),
    ("Figure 10", "data-dependency/figure-3", ""),
    ("Figure 11", "data-dependency/figure-3", ""),
    ("Figure 12", "data-dependency/figure-3", ""),
    ("Figure 13", "data-dependency/figure-3", ""),
    ("Figure 14", "data-dependency/figure-3", ""),
    ("Proposition 2.5", "data-dependency/theorem-2-7", ""),
    ("Theorem 2.7", "data-dependency/theorem-2-7", ""),
    ("Theorem 2.11", "data-dependency/theorem-2-11", ""),
    ("Theorem 3.2", "data-dependency/theorem-3-2", ""),
    ("Theorem 3.5", "data-dependency/theorem-3-5", ""),
]
