"""Every table and figure of the paper: the experiment that makes it, or why none does."""

ITEMS = [
    ("Figure 1", "regularization/figure-1", ""),
    ("Figure 2", "regularization/figure-2", ""),
    ("Figure 3", "regularization/figure-2", ""),
    ("Figure 4", "regularization/figure-4", ""),
    ("Figure 4, on two moons", "regularization/figure-4-moons", ""),
    ("Figure 5", "regularization/figure-4", ""),
    ("Figure 6", "regularization/figure-4", ""),
    ("Figure 7", "regularization/figure-2", ""),
    ("Figure 8", "regularization/figure-8", ""),
    ("Figure 9", "regularization/figure-8", ""),
    ("Table 1", "", "a summary in words, without numbers"),
    ("Table 2", "regularization/figure-4", ""),
    ("Theorems 1 and 2, Lemma 1", "regularization/theorem-1", ""),
    ("Corollary 3", "regularization/corollary-3", ""),
    ("Equation (22), beside temperatures; not in the paper", "regularization/calibration", ""),
    ("Proposition 1", "regularization/proposition-1", ""),
]
