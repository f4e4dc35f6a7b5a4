"""Numbers as words, in the terminal and on the page."""

import html
import math
import re


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
    return re.sub(r" = (?=\S)", f"{gap}={gap}", words).replace(" %", f"{gap}%")


def escaped(words: str) -> str:
    """Words for a page."""
    return kept_together(html.escape(words))
