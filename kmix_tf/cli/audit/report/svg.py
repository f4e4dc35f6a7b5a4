"""Small charts as inline SVG: axes, lines, bars, points. No script, no font, no file beside them."""

import html
import math
from collections.abc import Sequence
from typing import NamedTuple

WIDTH, HEIGHT = 400, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 12, 40, 44

BLUE, ORANGE, GREY, GREEN = "#2b6cb0", "#c2571a", "#9aa3ad", "#2f7d5b"


class Axis(NamedTuple):
    """low, high: what it spans. ticks: where, and what to write there. title: below or above it. log: base 2."""

    low: float
    high: float
    ticks: list[tuple[float, str]]
    title: str
    log: bool = False

    def share(self, value: float) -> float:
        """Where a value lies, 0 at low and 1 at high."""
        low, high, value = (math.log2(v) if self.log else v for v in (self.low, self.high, value))
        return (value - low) / (high - low) if high > low else 0.5


def linear_axis(high: float, title: str, low: float = 0.0, percent: bool = False) -> Axis:
    """An axis with round ticks, about five."""
    high = high if high > low else low + (abs(low) or 1.0)
    step = 10 ** math.floor(math.log10((high - low) / 4))
    step *= next(factor for factor in (1, 2, 5, 10) if (high - low) / (factor * step) <= 5)
    first, last = math.ceil(low / step - 1e-9), math.ceil(high / step - 1e-9)
    ticks = [(i * step, f"{100 * i * step:.3g}%" if percent else f"{i * step:.4g}") for i in range(first, last + 1)]
    return Axis(low, max(high, last * step), ticks, title)


def log_axis(values: Sequence[float], title: str) -> Axis:
    """An axis of doublings, a tick at each value."""
    return Axis(min(values), max(values), [(value, f"{value:g}") for value in values], title, log=True)


class Chart:
    """Collects marks; `str()` of it is the SVG."""

    def __init__(self, x: Axis, y: Axis, label: str, height: int = HEIGHT):
        self.x, self.y, self._label, self._height = x, y, label, height
        self._marks: list[str] = []
        self._keys: list[tuple[str, str]] = []

    def line(self, points: Sequence[tuple[float, float]], color: str, name: str, dashed: bool = False) -> None:
        """Points joined by a line, and a key for it."""
        placed = [(self._across(x), self._up(y)) for x, y in points]
        dash = ' stroke-dasharray="5 4"' if dashed else ""
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
        self._marks.append(f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2"{dash}/>')
        if not dashed:
            self._marks += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{color}"/>' for x, y in placed]
        self._keys.append((color, name))

    def steps(self, edges: Sequence[float], heights: Sequence[float], color: str, name: str) -> None:
        """A histogram's filled outline."""
        corners = [(edges[0], 0.0)]
        for low, high, height in zip(edges[:-1], edges[1:], heights, strict=True):
            corners += [(low, height), (high, height)]
        corners.append((edges[-1], 0.0))
        path = " ".join(f"{self._across(x):.1f},{self._up(y):.1f}" for x, y in corners)
        self._marks.append(f'<polygon points="{path}" fill="{color}" fill-opacity="0.3" stroke="{color}"/>')
        self._keys.append((color, name))

    def bar(self, low: float, high: float, value: float, color: str) -> None:
        """A bar from 0 to a value."""
        left, right, top, bottom = self._across(low), self._across(high), self._up(value), self._up(0)
        self._marks.append(
            f'<rect x="{left:.1f}" y="{top:.1f}" width="{right - left:.1f}" height="{max(bottom - top, 0.8):.1f}" '
            f'fill="{color}"/>'
        )

    def points(self, places: Sequence[tuple[float, float]], color: str, radius: float = 2.0) -> None:
        """Dots."""
        dots = (f'<circle cx="{self._across(x):.1f}" cy="{self._up(y):.1f}" r="{radius}"/>' for x, y in places)
        self._marks.append(f'<g fill="{color}" fill-opacity="0.6">{"".join(dots)}</g>')

    def rule(self, at: float, text: str) -> None:
        """A vertical line with words above it, to the side where there is room."""
        x = self._across(at)
        side, anchor = (4, "start") if x < WIDTH * 0.6 else (-4, "end")
        self._marks.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{self._bottom}" class="rule"/>')
        self._marks.append(text_at(x - side, _TOP - 5, text, anchor))

    def key(self, color: str, name: str) -> None:
        """A key above the chart for marks drawn by hand."""
        self._keys.append((color, name))

    @property
    def _bottom(self) -> int:
        return self._height - _BOTTOM

    def _across(self, value: float) -> float:
        return _LEFT + self.x.share(value) * (WIDTH - _LEFT - _RIGHT)

    def _up(self, value: float) -> float:
        return self._bottom - self.y.share(value) * (self._bottom - _TOP)

    def __str__(self) -> str:
        parts = [*self._axes(), *self._marks, *_keyed(self._keys)]
        return wrapped("".join(parts), self._height, self._label)

    def _axes(self) -> list[str]:
        parts = []
        for value, text in self.y.ticks:
            y = self._up(value)
            parts.append(f'<line x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}" class="grid"/>')
            parts.append(text_at(_LEFT - 6, y + 4, text, "end"))
        for value, text in self.x.ticks:
            parts.append(text_at(self._across(value), self._bottom + 16, text, "middle"))
        middle = (_LEFT + WIDTH - _RIGHT) / 2
        parts.append(text_at(middle, self._height - 8, self.x.title, "middle", "title"))
        turned = f'transform="rotate(-90 12 {(self._bottom + _TOP) / 2:.0f})"'
        parts.append(text_at(12, (self._bottom + _TOP) / 2, self.y.title, "middle", "title", turned))
        return parts


def text_at(x: float, y: float, text: str, anchor: str, style: str = "tick", more: str = "") -> str:
    """Words in a chart."""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" class="{style}" {more}>{html.escape(text)}</text>'


def wrapped(content: str, height: float, label: str) -> str:
    """The SVG element around marks, with words for those who cannot see it."""
    return (
        f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{html.escape(label, quote=True)}">'
        f"{content}</svg>"
    )


def rows_of_bars(rows: Sequence[tuple[str, float, str]], color: str, label: str) -> str:
    """Horizontal bars: (name, length, words behind the bar) each."""
    name_width = min(150, 14 + 7 * max(len(name) for name, _, _ in rows))
    room = WIDTH - name_width - 110
    longest = max(value for _, value, _ in rows) or 1
    parts = []
    for i, (name, value, words) in enumerate(rows):
        y = 4 + 22 * i
        shown = name if len(name) <= 20 else name[:19] + "…"
        parts.append(text_at(name_width - 6, y + 13, shown, "end"))
        width = max(room * value / longest, 1)
        parts.append(f'<rect x="{name_width}" y="{y}" width="{width:.1f}" height="16" rx="2" fill="{color}"/>')
        parts.append(text_at(name_width + width + 6, y + 13, words, "start"))
    return wrapped("".join(parts), 8 + 22 * len(rows), label)


def _keyed(keys: list[tuple[str, str]]) -> list[str]:
    parts, x = [], float(_LEFT)
    for color, name in keys:
        parts.append(f'<rect x="{x:.1f}" y="8" width="10" height="10" rx="2" fill="{color}"/>')
        parts.append(text_at(x + 15, 17, name, "start"))
        x += 30 + 6.6 * len(name)
    return parts
