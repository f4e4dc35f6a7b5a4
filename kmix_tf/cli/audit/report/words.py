"""Numbers as words, in the terminal and on the page."""

import html
import math
import re
from typing import Any


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
    if share == 0 or share == 1:
        return f"{100 * share:.0f} %"
    if share < 0.001:
        return "< 0.1 %"
    return f"{100 * share:.1f} %" if share < 0.999 else "> 99.9 %"


def estimate(share: float, error: float) -> str:
    """A share in percent, with its standard error if it has one."""
    digits = ".1f" if error >= 0.0005 else ".1g"
    return f"{percent(share)} ± {100 * error:{digits}}" if error else percent(share)


def numbered(encoding: dict[str, int], most: int = 10) -> str:
    """What labels become, the first of them."""
    return listed([f"{name!r} is {place}" for name, place in encoding.items()], most)


def balance(classes: list[dict[str, Any]]) -> str:
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
    return re.sub(r" = (?=\S)", f"{gap}={gap}", words).replace(" %", f"{gap}%").replace("± ", f"±{gap}")


def escaped(words: str) -> str:
    """Words for a page."""
    return kept_together(html.escape(words))
