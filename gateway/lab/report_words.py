"""Numbers as people read them, tables and cards."""

from __future__ import annotations

from html import escape
from math import isfinite
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.lab.bootstrap import Interval

NONE = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"


def percent(value: float, digits: int = 1) -> str:
    """A share as "72.3 %"."""
    return f"{value * 100:.{digits}f} %" if isfinite(value) else NONE


def share(value: float | None) -> str:
    """A cost as a share of another, or that no cost does it."""
    return "not reached" if value is None else percent(value, 0)


def points(value: float) -> str:
    """A difference of shares in signed percentage points."""
    return f"{round(value * 100, 1) + 0:+.1f}".replace("-", MINUS) if isfinite(value) else NONE


def usd(value: float) -> str:
    """Dollars with the digits that matter."""
    if not isfinite(value):
        return NONE
    if value == 0:
        return "$0"
    if value >= 1:
        return f"${value:.2f}".removesuffix(".00")
    return f"${value:.3g}"


def figure(value: float, digits: int = 4) -> str:
    """A figure between 0 and 1 without its leading zero, as in tables of statistics."""
    return f"{value:.{digits}f}".replace("0.", ".", 1).replace("-", MINUS) if isfinite(value) else NONE


def spread(value: Interval | None, digits: int = 4) -> str:
    """A figure and its 95 % interval below it, as HTML."""
    if value is None:
        return NONE
    return f"{figure(value.value, digits)}<small>{figure(value.low, digits)} to {figure(value.high, digits)}</small>"


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, marked: Sequence[int] = (), style: str = "") -> str:
    """HTML of cells that are HTML already; the first column names its row, rows in `marked` stand out."""
    titles = "".join(f'<th scope="col">{cell}</th>' for cell in head)
    body = "".join(
        f'<tr class="{"marked" if number in marked else ""}"><th scope="row">{row[0]}</th>'
        + "".join(f"<td>{cell}</td>" for cell in row[1:])
        + "</tr>"
        for number, row in enumerate(rows)
    )
    inner = f"<thead><tr>{titles}</tr></thead><tbody>{body}</tbody>"
    return f'<div class="scroll"><table class="{style}">{inner}</table></div>'


def card(title: str, body: str, note: str) -> str:
    """A titled box; the body is HTML, title and note are text."""
    return f'<div class="card"><h3>{plain(title)}</h3><p class="note">{plain(note)}</p>{body}</div>'


def plain(text: object) -> str:
    """Text that may stand in HTML."""
    return escape(str(text))
