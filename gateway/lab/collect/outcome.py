"""What a run has come to: the columns of a pool, and a summary."""

from __future__ import annotations

import json
from collections import Counter
from statistics import fmean
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from gateway.domain import Model
    from gateway.lab.collect.journal import Record, Records
    from gateway.lab.collect.prompts import Question

CELLS: Final = {
    "score": "score",
    "cost": "cost_usd",
    "in": "input_tokens",
    "out": "output_tokens",
    "lat": "latency_s",
}


def pool_columns(questions: Sequence[Question], models: Sequence[Model], records: Records) -> dict[str, list[object]]:
    """One row a question, in the order of the prompts; null where there is no score."""
    columns: dict[str, list[object]] = {
        "query_id": [each.id for each in questions],
        "group": [each.group for each in questions],
        "text": [each.text for each in questions],
        "messages": [json.dumps(each.messages, ensure_ascii=False) for each in questions],
        "tools": [json.dumps(each.tools, ensure_ascii=False) if each.tools else None for each in questions],
    }
    for model in models:
        scored = [_scored(records.get((each.mark, model.name))) for each in questions]
        for column, field in CELLS.items():
            columns[f"{column}:{model.name}"] = [getattr(each, field) if each else None for each in scored]
    return columns


def _scored(record: Record | None) -> Record | None:
    return record if record is not None and record.score is not None else None


def summary(questions: Sequence[Question], models: Sequence[Model], records: Records) -> dict[str, Any]:
    """Counts and means; errors by their kind. `missing` cells were never asked: the budget ended, or the run."""
    marks = [each.mark for each in questions]
    by_model = {model.name: _of([records.get((mark, model.name)) for mark in marks]) for model in models}
    return {
        "questions": len(questions),
        "scored": sum(each["scored"] for each in by_model.values()),
        "missing": sum(each["missing"] for each in by_model.values()),
        "errors": dict(sum((Counter(each["errors"]) for each in by_model.values()), Counter())),
        "models": by_model,
    }


def _of(records: Iterable[Record | None]) -> dict[str, Any]:
    all_of_them = list(records)
    known = [each for each in all_of_them if each is not None]
    scored = [each for each in known if each.score is not None]
    return {
        "scored": len(scored),
        "missing": len(all_of_them) - len(known),
        "errors": dict(Counter(each.error for each in known if each.score is None)),
        "success": _mean([each.score for each in scored]),
        "cost_per_1k_usd": _mean([each.cost_usd for each in scored], 1000),
        "output_tokens": _mean([each.output_tokens for each in scored]),
        "latency_s": _mean([each.latency_s for each in scored]),
        "tokens_estimated": sum(each.estimated for each in scored),
    }


def _mean(values: Sequence[float | None], scale: float = 1.0) -> float | None:
    known = [value for value in values if value is not None]
    return round(scale * fmean(known), 9) if known else None


def in_words(report: Mapping[str, Any]) -> str:
    """The summary for a reader."""
    lines = [
        f"{report['questions']} questions, {len(report['models'])} models",
        f"{report['scored']} answers scored, {report['missing']} not asked",
        f"{report['spent_usd']:.6g} USD spent in all runs, {report['seconds']:.1f} s in this one",
    ]
    for name, own in report["models"].items():
        lines.append(
            f"  {name}: success {_number(own['success'])} of {own['scored']}, "
            f"{_number(own['cost_per_1k_usd'])} USD per 1,000, {_number(own['output_tokens'])} tokens an answer, "
            f"{_number(own['latency_s'])} s"
        )
        lines += [f"    {count} without a score: {error}" for error, count in own["errors"].items()]
    if report["budget_reached"]:
        lines.append("stopped at the budget; run the same command with more to go on")
    return "\n".join(lines)


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.4g}"
