"""The page: whole, by itself, and safe whatever names a pool brings."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from gateway.lab.bootstrap import Interval
from gateway.lab.evaluate import evaluate_pool
from gateway.lab.evaluate_results import FORMAT, QUALITY_SHARES, Latency, PoolResult, Results, as_json
from gateway.lab.report import anchor, render
from gateway.lab.report_svg import Chart, Scale
from gateway.lab.report_words import figure, points, spread, usd
from tests.lab.outcomes import made_pool, subject

if TYPE_CHECKING:
    from predictors.pool import Pool

HOSTILE = '</script><script>alert("x")</script>&'
VOID = {"meta", "br", "link", "img", "input", "hr"}


class Page(HTMLParser):
    """Checks that every element is closed, and collects what would be fetched."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.fetched: list[str] = []
        self.scripts = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.fetched += [
            value or "" for name, value in attrs if name in ("src", "href") and not (value or "").startswith("#")
        ]
        self.scripts += tag == "script"
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def results(*pools: PoolResult) -> Results:
    return Results(
        format=FORMAT, version="0", command="paretogate evaluate", artifact={"predictor": HOSTILE}, machine="here",
        seed=0, draws=20, quality_shares=QUALITY_SHARES, latency=(Latency(1, 0.5, 0.9),), load_seconds=0.1, pools=pools,
    )  # fmt: skip


@pytest.fixture(scope="module")
def found() -> PoolResult:
    names = ("small", HOSTILE, "large/one")
    told, _ = subject(made_pool(), names)
    return evaluate_pool("made", made_pool(models=names), told, draws=20, seed=0, tell=lambda _step, _share: None)


def svgs(page: str) -> list[str]:
    return re.findall(r"<svg.*?</svg>", page, re.DOTALL)


def test_the_page_is_whole_and_fetches_nothing(found: PoolResult) -> None:
    text = render(results(found, replace(found, name="second pool")))
    page = Page()
    page.feed(text)
    page.close()
    assert (page.open, page.fetched, page.scripts) == ([], [], 2)
    assert not re.search(r"https?://|@import|url\(", text)
    assert 'id="pool-second-pool"' in text


def test_every_drawing_is_well_formed_and_finite(found: PoolResult) -> None:
    drawn = svgs(render(results(found)))
    assert len(drawn) == 2 * 2 + 2 + 2 + 2 + 3 + 2 * 2  # wide and narrow of each; a small one for each model
    for svg in drawn:
        ET.fromstring(svg)  # noqa: S314 - our own text
        assert "nan" not in svg
        assert "inf" not in svg


def test_every_method_has_a_line_or_a_point(found: PoolResult) -> None:
    text = render(results(found))
    for method in found.methods:
        assert text.count(f'class="series m-{method.name}"') >= 2, method.name
        assert f'data-series="m-{method.name}"' in text


def test_names_are_text(found: PoolResult) -> None:
    text = render(results(found))
    assert HOSTILE not in text
    assert "&lt;/script&gt;" in text


def test_cards_without_figures_are_left_out(found: PoolResult) -> None:
    bare = replace(found, shares=None, promise=(), amounts=(), away=())
    text = render(results(bare))
    for title in ("Who answers", "The promise", "Predicted against realised", "Out of its domain"):
        assert f"<h3>{title}" in render(results(found))
        assert f"<h3>{title}" not in text


def test_free_models_can_be_drawn() -> None:
    for pool in (replace(made_pool(), cost=np.zeros((150, 3))), _first_free()):
        told, _ = subject()
        free = evaluate_pool("free", pool, told, draws=20, seed=0, tell=lambda _step, _share: None)
        assert all("nan" not in svg for svg in svgs(render(results(free))))
        assert as_json(results(free))


def _first_free() -> Pool:
    cost = made_pool().cost
    cost[:, 0] = 0.0
    return replace(made_pool(), cost=cost)


def test_ticks_are_round_and_inside() -> None:
    assert Scale(0.31, 0.88, 0, 100).ticks(5) == pytest.approx([0.4, 0.6, 0.8])
    assert Scale(0.05, 6.5, 0, 100, log=True).ticks(8) == pytest.approx([0.05, 0.1, 0.2, 0.5, 1, 2, 5])
    assert Scale(1, 100, 0, 100, log=True)(10) == pytest.approx(50)
    assert Scale(0, 1, 0, 100)(7) == 100


def test_a_chart_of_one_value_has_two_ends() -> None:
    chart = Chart.framed(100, 100, (0.5, 0.5), (0.0, 0.0))
    chart.axes("x", "y", str, str)
    chart.line([(0.5, 0.0)], "curve")
    ET.fromstring(chart.svg("one"))  # noqa: S314 - our own text


def test_numbers_read_well() -> None:
    assert (usd(3.6832), usd(0.05612), usd(2.0), usd(0.0)) == ("$3.68", "$0.0561", "$2", "$0")
    assert (points(-0.0132), points(0.004), points(-0.0001)) == ("\N{MINUS SIGN}1.3", "+0.4", "+0.0")
    assert (figure(0.73721), figure(1.0, 2), figure(float("nan"))) == (".7372", "1.00", "\N{EN DASH}")
    assert spread(Interval(0.5, 0.4, 0.6, 0.05), 2) == ".50<small>.40 to .60</small>"


def test_anchors_hold_letters_and_digits_only(found: PoolResult) -> None:
    assert anchor(replace(found, name="a b/ç.1")) == "pool-a-b-ç-1"
