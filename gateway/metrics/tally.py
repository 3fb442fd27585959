"""What a process counts: cells of numbers, added to without a lock and put into Prometheus' words when somebody looks.

prometheus_client takes a lock and a dozen calls for every number; a query has thirty. Only the loop's thread may count.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from enum import Enum
from typing import TYPE_CHECKING, Generic, TypeVar

from prometheus_client import Metric
from prometheus_client.utils import floatToGoString

if TYPE_CHECKING:
    from collections.abc import Iterable, MutableSequence, Sequence
    from pathlib import Path

    from gateway.metrics.shared import Other, Shared

    Labels = tuple[str, ...]
    Values = MutableSequence[float]


class Across(Enum):
    """What a gauge tells where several processes have one each."""

    OWN = "own"  # that of the process that is asked: all see the same
    SUM = "sum"
    MOST = "most"
    LEAST = "least"


class Number:
    """One series of a counter or a gauge."""

    __slots__ = ("_at", "_values")

    def __init__(self, values: Values, at: int, _: object = None) -> None:
        self._values = values
        self._at = at

    def inc(self, amount: float = 1.0) -> None:
        self._values[self._at] += amount

    def set(self, value: float) -> None:
        self._values[self._at] = value


class Spread:
    """One series of a histogram: a cell for each bucket, one above them, and the sum."""

    __slots__ = ("_at", "_bounds", "_sum", "_values")

    def __init__(self, values: Values, at: int, bounds: Sequence[float]) -> None:
        self._values = values
        self._at = at
        self._bounds = bounds
        self._sum = at + len(bounds) + 1

    def observe(self, value: float) -> None:
        values = self._values
        values[self._at + bisect_left(self._bounds, value)] += 1.0
        values[self._sum] += value


T = TypeVar("T", Number, Spread)


class Family(Generic[T]):
    """The series of one name. Without labels there is one, from the beginning."""

    kind = ""
    usual = Across.SUM
    child: type[T]

    def __init__(
        self,
        name: str,
        words: str,
        labels: Sequence[str] = (),
        *,
        tally: Tally,
        buckets: Sequence[float] = (),
        across: Across | None = None,
    ) -> None:
        self.name = name
        self.across = across or self.usual
        self._words = words
        self._labels = tuple(labels)
        self._buckets = tuple(buckets)
        self._cells = 1 if not buckets else len(buckets) + 2
        self._tally = tally
        self._places: dict[Labels, int] = {}
        self._children: dict[Labels, T] = {}
        tally.families[name] = self
        if not labels:
            self.labels()

    def labels(self, *values: str) -> T:
        """The series with these values; it is made when it is first asked for."""
        found = self._children.get(values)
        if found is None:
            at = self._places[values] = self._tally.room(self.name, values, self._cells)
            found = self._children[values] = self.child(self._tally.values, at, self._buckets)
        return found

    def clear(self) -> None:
        """Forgets all series."""
        self._places.clear()
        self._children.clear()

    def series(self) -> dict[Labels, list[float]]:
        """The cells of each."""
        values = self._tally.values
        return {labels: list(values[at : at + self._cells]) for labels, at in self._places.items()}

    def metric(self, series: dict[Labels, list[float]]) -> Metric:
        """In Prometheus' words."""
        metric = Metric(self.name, self._words, self.kind)
        for values, cells in series.items():
            labels = dict(zip(self._labels, values, strict=True))
            if self._buckets:
                self._add_spread(metric, labels, cells)
            else:
                metric.add_sample(self.name + "_total" * (self.kind == "counter"), labels, cells[0])
        return metric

    def _add_spread(self, metric: Metric, labels: dict[str, str], cells: Sequence[float]) -> None:
        count = 0.0
        for bound, cell in zip((*self._buckets, float("inf")), cells, strict=False):
            count += cell
            le: str = floatToGoString(bound)  # type: ignore[no-untyped-call] # prometheus_client leaves it without types
            metric.add_sample(f"{self.name}_bucket", {**labels, "le": le}, count)
        metric.add_sample(f"{self.name}_count", labels, count)
        metric.add_sample(f"{self.name}_sum", labels, cells[-1])


class Counter(Family[Number]):
    """Only grows."""

    kind = "counter"
    child = Number

    def inc(self, amount: float = 1.0) -> None:
        """Of a family without labels."""
        self.labels().inc(amount)


class Gauge(Family[Number]):
    """As it is now."""

    kind = "gauge"
    usual = Across.OWN
    child = Number

    def set(self, value: float) -> None:
        """Of a family without labels."""
        self.labels().set(value)


class Histogram(Family[Spread]):
    """How what was seen is spread."""

    kind = "histogram"
    child = Spread

    def observe(self, value: float) -> None:
        """Of a family without labels."""
        self.labels().observe(value)


class Tally:
    """All families of one process, for a `CollectorRegistry`.

    Args:
        folder: where the processes of one gateway find each other's cells; None when there is only one.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.families: dict[str, Family[Number] | Family[Spread]] = {}
        self.shared: Shared | None = None
        self.values: Values = array("d")
        self._next = 0
        if folder is not None:
            from gateway.metrics.shared import Shared  # noqa: PLC0415 - for several processes alone

            self.shared = Shared(folder)
            self.values = self.shared.values

    def room(self, name: str, labels: Labels, cells: int) -> int:
        """The place of so many new cells."""
        at = self._next
        self._next += cells
        if self.shared is None:
            self.values.extend([0.0] * cells)
        else:
            self.shared.name(name, labels, at, cells)
        return at

    def collect(self) -> Iterable[Metric]:
        """What `CollectorRegistry` asks for."""
        return self.look(*self.families.values())

    def look(self, *families: Family[Number] | Family[Spread]) -> list[Metric]:
        """These families, of all processes."""
        others = self.shared.others() if self.shared is not None else ()
        return [family.metric(_gathered(family, others)) for family in families]


def _gathered(family: Family[Number] | Family[Spread], others: Sequence[Other]) -> dict[Labels, list[float]]:
    """The series of all processes. What one has counted stays counted when it has ended; its gauges go."""
    series = family.series()
    for other in others if family.across is not Across.OWN else ():
        if other.alive or family.kind != "gauge":
            for labels, cells in other.series.get(family.name, {}).items():
                mine = series.get(labels, cells)
                series[labels] = cells if mine is cells else _merged(family.across, mine, cells)
    return series


def _merged(across: Across, some: list[float], others: list[float]) -> list[float]:
    merge = {Across.MOST: max, Across.LEAST: min}.get(across)
    pairs = zip(some, others, strict=True)
    return [one + other if merge is None else merge(one, other) for one, other in pairs]
