"""Numbers, sentences and rows of tables, as the terminal and the page show them."""

import math
import re
from typing import Any

from kmix_tf.cli.terminal import Grid


def number(value: float | None, digits: int = 3) -> str:
    """A number in few digits; a dash for none."""
    if value is None:
        return "-"
    if math.isinf(value):
        return "infinite"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.{digits}g}"


def percent(share: float | None) -> str:
    """A share in percent: 0 and 100 % only where nothing or everything is meant."""
    if share is None:
        return "-"
    if share in (0, 1):
        return f"{100 * share:.0f} %"
    if share < 0.001:
        return "< 0.1 %"
    return f"{100 * share:.1f} %" if share < 0.999 else "> 99.9 %"


def points(share: float) -> str:
    """A difference of shares, with its sign."""
    return f"{100 * share:.1f} points"


def points_of(value: float) -> str:
    """A number of points, or of percent, with one decimal place; two where it is small."""
    return f"{value:.1f}" if abs(value) >= 1 else f"{value:.2f}"


def chance_of(probability: float) -> str:
    """A probability in two digits, never quite sure."""
    return f"{min(max(probability, 0.01), 0.99):.2f}"


def headed(verdict: dict[str, Any]) -> str:
    """The level with its probability, if a trial gave one."""
    chance = verdict["probability"]
    return verdict["level"] if chance is None else f"{verdict['level']}, probability {chance_of(chance)}"


def remark_of(verdict: dict[str, Any]) -> str:
    """What the first remark is: what speaks against the verdict, or what else would be."""
    return "but" if any(remark.startswith("Geometry") for remark in verdict["remarks"][:1]) else "remark"


def estimate(share: float, error: float) -> str:
    """A share in percent, with its standard error if it has one."""
    digits = ".1f" if error >= 0.0005 else ".1g"
    return f"{percent(share)} ± {100 * error:{digits}}" if error else percent(share)


def listed(names: list[str], most: int = 10) -> str:
    """Names with commas, and how many more there are."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def count(amount: int, noun: str) -> str:
    """`1 sample`, `2 samples`, `2 classes`."""
    if amount == 1:
        return f"1 {noun}"
    return f"{amount:,} {noun}{'es' if noun.endswith('s') else 's'}"


def sentence(words: str) -> str:
    """Words with a capital in front and a full stop behind."""
    return words[0].upper() + words[1:] + ("" if words.endswith(".") else ".")


def kept_together(words: str) -> str:
    """Words in which a number stays on the line of its name or sign, by spaces that do not break."""
    gap = "\N{NO-BREAK SPACE}"
    return re.sub(r" = (?=\S)", f"{gap}={gap}", words).replace(" %", f"{gap}%").replace(" ± ", f"{gap}±{gap}")


def described(report: dict[str, Any]) -> str:
    """What was looked at, in one sentence or two."""
    data, setting = report["data"], report["setting"]
    shape = " x ".join(map(str, data["shape"])) or "1"
    words = f"{data['name']}: {count(data['samples'], 'sample')} of shape {shape}, {len(data['classes'])} classes."
    if data["measured"] < data["samples"]:
        words += f" Measured on {data['measured']:,} of them, drawn at random with seed {setting['seed']}."
    if setting["standardize"]:
        words += " Features were divided by their spread."
    return words


def described_numbers(report: dict[str, Any]) -> str:
    """The same of data whose targets are no classes."""
    data = report["data"]
    shape = " x ".join(map(str, data["shape"])) or "1"
    what = "numbers to predict" if data["task"] == "regression" else "several labels each"
    words = f"{data['name']}: {count(data['samples'], 'sample')} of shape {shape}, {what}."
    if data["measured"] < data["samples"]:
        words += f" {data['measured']:,} of them were taken, drawn at random with seed {report['setting']['seed']}."
    return words


def of_numbers(measures: dict[str, Any]) -> Grid:
    """How far labels of mixtures are from those near them, a row for each alpha."""
    head = ("alpha", "mixtures", "unmixed", "mixing adds", "95 %")
    rows = [
        (
            f"{row['alpha']:g}",
            number(row["distance"]),
            number(row["baseline"]),
            number(row["excess"]),
            f"{number(row['low'])} to {number(row['high'])}",
        )
        for row in measures["by_alpha"]
    ]
    return Grid(head, rows)


def class_sizes(classes: list[dict[str, Any]]) -> str:
    """How many classes there are, and how large the smallest and the largest."""
    ends = [pick(classes, key=lambda row: row["samples"]) for pick in (min, max)]
    if ends[0]["samples"] == ends[1]["samples"]:
        return f"{count(len(classes), 'class')} of {count(ends[0]['samples'], 'sample')} each."
    words = [f"{row['class']!r} with {count(row['samples'], 'sample')} ({percent(row['share'])})" for row in ends]
    return f"{count(len(classes), 'class')}; the smallest is {words[0]}, the largest {words[1]}."


def near_other(closeness: dict[str, Any]) -> str:
    """How far samples are from another class."""
    return (
        f"The nearest sample of another class is {number(closeness['least'])} away at least, "
        f"{number(closeness['median'])} in the median."
    )


def by_alpha(measures: dict[str, Any]) -> Grid:
    """Contradicted labels, conflicts and distances, a row for each alpha."""
    found = (measures[name]["by_alpha"] for name in ("contradictions", "conflicts", "intrusion"))
    head = (
        "alpha",
        "labels contradicted",
        "mixtures in conflict",
        "more than unmixed",
        "least distance",
        "mean distance",
    )
    rows = [
        (
            f"{one['alpha']:g}",
            percent(one["share"]),
            percent(two["share"]),
            points(two["excess"]),
            number(three["least"]),
            number(three["mean"]),
        )
        for one, two, three in zip(*found, strict=True)
    ]
    return Grid(head, rows)


def by_k(measures: dict[str, Any]) -> Grid:
    """What matching does, a row for each k."""
    found = measures["matching"]["by_k"]
    # Beyond alpha 1, few k perturb as much as plain mixup.
    shown = sum(one["alpha"] <= 1 for one in found[0]["alphas"]) if found else 0
    head = ["k", "matches across classes", "at least", "distance"]
    head += [f"alpha_k for {one['alpha']:g}" for row in found[:1] for one in row["alphas"][:shown]]
    rows = [
        (
            str(row["k"]),
            estimate(row["cross_share"], row["standard_error"]),
            percent(row["least_share"]),
            number(row["distance"]),
            *("none" if one["alpha_k"] is None else number(one["alpha_k"]) for one in row["alphas"][:shown]),
        )
        for row in found
    ]
    return Grid(head, rows)
