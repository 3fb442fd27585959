"""What has been counted since the start, by route and model: for a page that is no Prometheus."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from prometheus_client import Metric

    from gateway.metrics.answers import AnswerInstruments, FeedbackInstruments
    from gateway.metrics.tally import Tally


@dataclass(slots=True)
class Total:
    """Of one route and the model that answered."""

    served: float = 0.0
    failed: float = 0.0  # ended otherwise
    actual_usd: float = 0.0
    predicted_usd: float = 0.0
    predicted_quality: float = 0.0  # sum
    scored: float = 0.0
    realised_quality: float = 0.0  # sum over those scored


@dataclass(slots=True)
class Totals:
    """Keys are (route, model); counterfactuals' are (route, rule)."""

    answers: dict[tuple[str, str], Total] = field(default_factory=dict)
    counterfactual_usd: dict[tuple[str, str], float] = field(default_factory=dict)


def totals(tally: Tally, answers: AnswerInstruments, feedback: FeedbackInstruments) -> Totals:
    """As of now, of all processes of this gateway."""
    made = Totals()
    families = (
        answers.queries,
        answers.cost,
        answers.quality,
        feedback.count,
        feedback.score,
        answers.counterfactual,
    )
    queries, cost, quality, scored, realised, counterfactual = map(_values, tally.look(*families))

    def of(labels: Mapping[str, str]) -> Total:
        return made.answers.setdefault((labels["route"], labels["model"]), Total())

    for labels, value in queries:
        total = of(labels)
        if labels["outcome"] == "served":
            total.served += value
        else:
            total.failed += value
    for labels, value in cost:
        if labels["kind"] == "actual":
            of(labels).actual_usd = value
        else:
            of(labels).predicted_usd = value
    for labels, value in quality:
        of(labels).predicted_quality = value
    for labels, value in scored:
        of(labels).scored = value
    for labels, value in realised:
        of(labels).realised_quality = value
    made.counterfactual_usd = {(labels["route"], labels["rule"]): value for labels, value in counterfactual}
    return made


def _values(metric: Metric) -> list[tuple[Mapping[str, str], float]]:
    return [(sample.labels, sample.value) for sample in metric.samples]
