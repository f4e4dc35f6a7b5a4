"""What defaults are asked about, and which arms of which experiments answer it."""

from collections.abc import Mapping
from typing import NamedTuple

IMAGES, TABLES, TOYS = "images", "tables", "toys"
SMALL, LARGE = "0.1 to 0.25", "8 to 16"
AS_FAR = "that moves images as far as 1 does in mixup"


class Row(NamedTuple):
    """Arms of one experiment that differ in what is asked about alone. arms: by value. plain: without mixing."""

    kind: str
    data: str
    setting: str
    experiment: str
    plain: str
    arms: Mapping[str, str]


class Question(NamedTuple):
    """now: today's value. options: those to choose among, which are measured on most data sets. notes: in words."""

    title: str
    now: str
    options: tuple[str, ...]
    rows: tuple[Row, ...]
    notes: str = ""


def _fashion(arm: str, values: Mapping[str, str]) -> tuple[Row, ...]:
    """arm: its name, with a place for the value."""
    return tuple(
        Row(
            IMAGES, "Fashion-MNIST", size, "local-mixup/fashion-mnist", f"{size}: no mixing",
            {value: f"{size}: {arm.format(words)}" for value, words in values.items()},
        )
        for size in ("500 images", "2,000 images", "20,000 images")
    )  # fmt: skip


def _digits(arms: Mapping[str, str]) -> tuple[Row, ...]:
    return (Row(IMAGES, "digits", "1,024 images", "k-mixup/digits", "no mixing", arms),)


def _tables(arms: Mapping[str, str]) -> tuple[Row, ...]:
    return tuple(
        Row(
            TABLES, data, rows, "k-mixup/table-4", f"{name}: no mixing",
            {value: f"{name}: {arm}" for value, arm in arms.items()},
        )
        for name, data, rows in (("Iris", "Iris", "100 rows"), ("Cancer", "Breast Cancer", "380 rows"))
    )  # fmt: skip


def _toys(arms: Mapping[str, str]) -> tuple[Row, ...]:
    return tuple(
        Row(
            TOYS, toy, "512 points", "k-mixup/table-9", f"{toy}, no mixing",
            {value: f"{toy}, {arm}" for value, arm in arms.items()},
        )
        for toy in ("one ring", "four bars", "Swiss roll")
    )  # fmt: skip


def _kernels(kind: str, data: str, setting: str, experiment: str) -> Row:
    arms = {SMALL: "0.25", "0.5": "0.5", "1": "1", "4": "4", LARGE: "8"}
    arms = {value: f"mixup, alpha = {alpha}" for value, alpha in arms.items()}
    return Row(kind, data, setting, experiment, "plain", arms)


def _local(data: str, kind: str, name: str, setting: str) -> Row:
    rates = ("rate 0.001", "rate 0.01", "rate 0.1", "rate 0.3", "rate 1", "quantile:0.5", "quantile:0.1")
    arms = {rate: f"{name}: Local Mixup, {rate}" for rate in rates}
    return Row(kind, data, setting, "local-mixup/table-1", f"{name}: plain training", arms)


def _regime(name: str) -> Row:
    arms = {"batch": f"{name}: K = 1", "sample": f"{name}: K = 1, a ratio of each sample's own"}
    return Row(IMAGES, "digits", name, "multi-mix/regimes", "", arms)


ALPHA = Question(
    "alpha of mixup", "1", (SMALL, "1"),
    (
        *_fashion("mixup, alpha = {}", {SMALL: "0.2", "0.5": "0.5", "1": "1"}),
        *_digits({SMALL: "mixup, alpha = 0.2", "1": "mixup, alpha = 1", LARGE: "mixup, alpha = 10"}),
        _kernels(IMAGES, "digits", "300 images, kernel features", "regularization/figure-4"),
        *_tables({SMALL: "mixup, alpha = 0.1", "1": "mixup, alpha = 1"}),
        *_toys({
            SMALL: "k = 1, 0.25, alpha", "1": "k = 1, 1, alpha", "4": "k = 1, 4, alpha", LARGE: "k = 1, 16, alpha"
        }),
        _kernels(TOYS, "two moons", "kernel features", "regularization/figure-4-moons"),
    ),
    f"{SMALL} is 0.1 on tables, 0.2 or 0.25 elsewhere: what was measured there. Toys on which no alpha below 1 was "
    "measured (points on a line, moons of other widths) are left out.",
)  # fmt: skip
ALPHA_OF_K = Question(
    "alpha of k-mixup, k = 16", "1", (SMALL, "1"),
    (
        *_fashion("k-mixup, k = 16, alpha = {}", {SMALL: "0.2", "1": "1"}),
        *_digits({
            SMALL: "k = 16, alpha = 0.2 itself", "1": "k = 16, alpha = 1 itself", LARGE: "k = 16, alpha = 10 itself"
        }),
        *_tables({SMALL: "k = 16, alpha = 0.1 itself", "1": "k = 16, alpha = 1 itself"}),
        *_toys({
            SMALL: "k = 16, 0.25, alpha", "1": "k = 16, 1, alpha", "4": "k = 16, 4, alpha", LARGE: "k = 16, 16, alpha"
        }),
    ),
)  # fmt: skip
MATCHED = Question(
    "alpha of k-mixup, k = 16: 1, or the alpha_k of 1", "alpha_k", ("1", "alpha_k"),
    (
        *_fashion("k-mixup, k = 16, alpha {}", {"1": "= 1", "alpha_k": AS_FAR}),
        *_digits({"1": "k = 16, alpha = 1 itself", "alpha_k": "k = 16, alpha_k of 1"}),
        *_tables({"1": "k = 16, alpha = 1 itself", "alpha_k": "k = 16, alpha_k of 1"}),
        *_toys({"1": "k = 16, 1, alpha", "alpha_k": "k = 16, 1, alpha_k"}),
    ),
    "With its alpha_k, k-mixup moves samples as far as mixup at alpha = 1 does, or as far as it can. Layers take "
    "alpha as it is; alpha_k is what `kmix-tf audit` suggests where mixing is safe and alpha_k is at most 4.",
)  # fmt: skip
K = Question(
    "k, at alpha = 1", "16", ("1", "16"),
    (
        *_fashion("{}, alpha = 1", {"1": "mixup", "16": "k-mixup, k = 16"}),
        *_digits({"1": "mixup, alpha = 1", "16": "k = 16, alpha = 1 itself"}),
        *_tables({"1": "mixup, alpha = 1", "16": "k = 16, alpha = 1 itself"}),
        *_toys({k: f"k = {k}, 1, alpha" for k in ("1", "2", "4", "8", "16")}),
    ),
)  # fmt: skip
K_MATCHED = Question(
    "k, at the alpha_k of 1", "16", ("1", "16"),
    (
        *_fashion("{}", {"1": "mixup, alpha = 1", "16": f"k-mixup, k = 16, alpha {AS_FAR}"}),
        *_digits({"1": "mixup, alpha = 1", "4": "k = 4, alpha_k of 1", "16": "k = 16, alpha_k of 1"}),
        *_tables({"1": "mixup, alpha = 1", "4": "k = 4, alpha_k of 1", "16": "k = 16, alpha_k of 1"}),
        *_toys({k: f"k = {k}, 1, alpha_k" for k in ("1", "2", "4", "8", "16")}),
    ),
)  # fmt: skip
SCOPE = Question(
    "scope", "batch", ("batch", "sample"),
    tuple(_regime(name) for name in (
        "small batches, large rate", "whole batches, very large rate", "larger batches, small rate"
    )),
    "Nothing was trained without mixing here: the best is that of the two.",
)  # fmt: skip
RATE = Question(
    "rate of Local Mixup's `ExponentialWeight`, at alpha = 1", "quantile:0.5",
    ("rate 0.001", "rate 0.01", "rate 0.1", "rate 0.3", "rate 1", "quantile:0.5", "quantile:0.1"),
    (
        _local("digits", IMAGES, "digits", "400 images"),
        _local("Breast Cancer", TABLES, "cancer", "200 rows"),
        *_fashion(
            "Local Mixup, alpha = 1, rate {}", {"quantile:0.5": "quantile:0.5", "quantile:0.01": "quantile:0.01"}
        ),
    ),
    "Distances are those of the data, so a rate means something else on each set, a quantile does not. Fashion-MNIST "
    "has two of the rates and takes no part in the choice. Epsilon of `ThresholdWeight` and the number of neighbours "
    "have no default.",
)  # fmt: skip
CUTMIX = Question(
    "alpha of CutMix", "1", ("0.2", "0.5", "1"), _fashion("CutMix, alpha = {}", {a: a for a in ("0.2", "0.5", "1")})
)
QUESTIONS = (ALPHA, ALPHA_OF_K, MATCHED, K, K_MATCHED, SCOPE, RATE, CUTMIX)
