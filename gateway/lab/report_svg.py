"""Charts as SVG text: scales, axes, lines. Colours are CSS classes, so that one drawing serves light and dark."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from math import ceil, floor, log10
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LETTER = 6.4  # width of an average letter of a chart's text, in its own units
# Units across the page, half of it and a telephone. A chart is drawn once for each and CSS shows the one that fits.
WIDE, COLUMN, NARROW = 980, 500, 400


@dataclass(frozen=True, slots=True)
class Scale:
    """From values to places along one axis."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """The place of a value; values beyond the ends lie on them."""
        value = min(max(value, self.low), self.high)
        if self.log:
            share = log10(value / self.low) / log10(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self, count: int = 6) -> list[float]:
        """Round values, about `count` of them."""
        return _log_ticks(self.low, self.high, count) if self.log else _even_ticks(self.low, self.high, count)


def _even_ticks(low: float, high: float, count: int) -> list[float]:
    rough = (high - low) / max(1, count)
    unit = 10.0 ** floor(log10(rough))
    step = unit * next(each for each in (1, 2, 2.5, 5, 10) if each * unit >= rough * 0.999)
    first = ceil(low / step - 1e-9)
    return [number * step for number in range(first, floor(high / step + 1e-9) + 1)]


def _log_ticks(low: float, high: float, count: int) -> list[float]:
    found: list[float] = []
    for marks in ((1,), (1, 3), (1, 2, 5)):
        powers = range(floor(log10(low)) - 1, ceil(log10(high)) + 1)
        ticks = [mark * 10.0**power for power in powers for mark in marks if low <= mark * 10.0**power <= high]
        if len(ticks) > count and found:
            break
        found = ticks
    return found


@dataclass(slots=True)
class Chart:
    """One drawing. Parts are added in the order in which they cover each other."""

    width: float
    height: float
    x: Scale
    y: Scale
    parts: list[str] = field(default_factory=list)

    @classmethod
    def framed(
        cls, width: float, height: float, x: tuple[float, float], y: tuple[float, float],
        *, log_x: bool = False, log_y: bool = False, bare: bool = False,
    ) -> Chart:  # fmt: skip
        """With room for the axes' words, or for none."""
        left, right, top, bottom = (6, 6, 6, 6) if bare else (56, 14, 12, 42)
        return cls(
            width,
            height,
            Scale(*_apart(*x), left, width - right, log=log_x),
            Scale(*_apart(*y), height - bottom, top, log=log_y),
        )

    def axes(
        self, x_name: str, y_name: str, x_text: Callable[[float], str], y_text: Callable[[float], str], count: int = 6
    ) -> None:
        """Grid lines, their values and the names of the axes."""
        for value in self.y.ticks(count):
            at = self.y(value)
            self.parts.append(
                f'<line class="grid" x1="{_n(self.x.start)}" x2="{_n(self.x.end)}" y1="{_n(at)}" y2="{_n(at)}"/>'
            )
            self.text(self.x.start - 8, at + 4, y_text(value), "tick end")
        for value in self.x.ticks(max(3, int((self.x.end - self.x.start) / 80))):
            at = self.x(value)
            self.parts.append(
                f'<line class="grid" x1="{_n(at)}" x2="{_n(at)}" y1="{_n(self.y.start)}" y2="{_n(self.y.end)}"/>'
            )
            self.text(at, self.y.start + 17, x_text(value), "tick middle")
        self.text((self.x.start + self.x.end) / 2, self.height - 6, x_name, "name middle")
        middle = (self.y.start + self.y.end) / 2
        self.parts.append(
            f'<text class="name middle" transform="translate(13 {_n(middle)}) rotate(-90)">{escape(y_name)}</text>'
        )

    def line(self, points: Sequence[tuple[float, float]], style: str) -> None:
        """Through points in order."""
        if points:
            self.parts.append(f'<polyline class="{style}" points="{self._path(points)}"/>')

    def rule(self) -> None:
        """An upright line that the page's script moves."""
        self.parts.append(f'<line class="rule" y1="{_n(self.y.start)}" y2="{_n(self.y.end)}"/>')

    def area(self, upper: Sequence[tuple[float, float]], lower: Sequence[tuple[float, float]], style: str) -> None:
        """Between two lines over the same x."""
        self.parts.append(f'<polygon class="{style}" points="{self._path([*upper, *reversed(lower)])}"/>')

    def dot(self, x: float, y: float, style: str, *, radius: float = 4, title: str = "") -> None:
        """A point, with words for who hovers over it."""
        words = f"<title>{escape(title)}</title>" if title else ""
        self.parts.append(
            f'<circle class="{style}" cx="{_n(self.x(x))}" cy="{_n(self.y(y))}" r="{radius}">{words}</circle>'
        )

    def text(self, x: float, y: float, words: str, style: str = "") -> None:
        """Words at a place."""
        self.parts.append(f'<text class="{style}" x="{_n(x)}" y="{_n(y)}">{escape(words)}</text>')

    def open(self, style: str) -> None:
        """Starts a group, so that CSS can hide it."""
        self.parts.append(f'<g class="{style}">')

    def close(self) -> None:
        """Ends the group."""
        self.parts.append("</g>")

    def svg(self, label: str, style: str = "") -> str:
        """The drawing. `label` is what a screen reader says of it; `data-x` lets the page's script read off costs."""
        axis = f"{self.x.low:.6g} {self.x.high:.6g} {_n(self.x.start)} {_n(self.x.end)} {int(self.x.log)}"
        return (
            f'<svg class="{style}" data-x="{axis}" viewBox="0 0 {_n(self.width)} {_n(self.height)}" role="img" '
            f'aria-label="{escape(label, quote=True)}">{"".join(self.parts)}</svg>'
        )

    def _path(self, points: Sequence[tuple[float, float]]) -> str:
        return " ".join(f"{_n(self.x(x))},{_n(self.y(y))}" for x, y in points)


def both(draw: Callable[[float], str]) -> str:
    """A chart drawn for wide and for narrow screens; `draw` is given the width in units."""
    return f'<div class="wide">{draw(WIDE)}</div><div class="narrow">{draw(NARROW)}</div>'


def _apart(low: float, high: float) -> tuple[float, float]:
    """A scale needs two ends that differ."""
    return (low, high) if high > low else (low - abs(low) / 2 - 1e-9, high + abs(high) / 2 + 1e-9)


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
