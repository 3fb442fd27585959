"""What a drive came to: realised success, cost, latency, and whether anything was lost or doubled."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import numpy as np

from gateway.lab.drive_reply import End

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from gateway.lab.drive_reply import Sent
    from predictors.pool import Pool

    Floats = NDArray[np.float64]

DIGITS = 9  # of a printed number: a query can cost a millionth of a dollar


@dataclass(frozen=True, slots=True)
class Realised:
    """What one answered query really scored and cost; None where neither the pool nor a header knows."""

    sent: Sent
    model: str
    score: float | None
    cost_usd: float | None


def summary(pool: Pool, sent: Sequence[Sent], seconds: float, *, model: str = "auto") -> dict[str, Any]:
    """The report as one JSON object. USD, seconds; null where unknown.

    Args:
        pool: the pool that was driven; its recorded outcomes are the truth.
        sent: every query that was sent, in any order.
        seconds: how long all of it took.
        model: what was asked for; names the model where the answer does not.
    """
    ends = Counter(each.end for each in sent)
    done = [realised(pool, each, model) for each in sent if each.end is End.ANSWERED]
    scores, costs = _known([each.score for each in done]), _known([each.cost_usd for each in done])
    return {
        "sent": len(sent),
        **{end.value: ends[end] for end in End},
        "doubled": doubled(sent),
        "misdelivered": sum(not _own_answer(pool, each) for each in sent),
        "errors": dict(Counter(each.error for each in sent if each.error).most_common()),
        "success": _mean(scores),
        "success_standard_error": _standard_error(scores),
        "scored": len(scores),
        "predicted_quality": _mean(_known([each.sent.quality for each in done])),
        "cost_usd": _rounded(float(costs.sum())) if costs.size else None,
        "cost_per_1k_usd": _per_1k(costs),
        "header_cost_per_1k_usd": _per_1k(_known([each.sent.cost_usd for each in done])),
        "best_single": best_single(pool, [each.row for each in sent]),
        "models": _by_model(done),
        "latency_s": _spread([each.sent.seconds for each in done]),
        "first_token_s": _spread([each.sent.first_token for each in done]),
        "overhead_ms": _spread([each.sent.overhead_ms for each in done]),
        "seconds": round(seconds, 3),
        "per_second": round(len(sent) / seconds, 2) if seconds else None,
    }


def realised(pool: Pool, sent: Sent, asked: str) -> Realised:
    """The score that the upstream told, else the pool's; the pool's cost, else the header's.

    The header's cost of a stream is a prediction, while the pool's is what was paid: so the pool's comes first.
    """
    # A header holds ASCII only; other names arrive percent-encoded.
    model = next((name for name in (sent.model, unquote(sent.model or "")) if name in pool.models), sent.model) or asked
    score, cost = sent.score, sent.cost_usd
    if model in pool.models:
        column = pool.models.index(model)
        score = _cell(pool.score, sent.row, column) if score is None else score
        recorded = _cell(pool.cost, sent.row, column)
        cost = cost if recorded is None else recorded
    return Realised(sent, model, score, cost)


def doubled(sent: Sequence[Sent]) -> int:
    """Decisions that more than one answer carries, counted beyond the first."""
    decisions = Counter(each.decision for each in sent if each.decision)
    return sum(count - 1 for count in decisions.values())


def best_single(pool: Pool, rows: Sequence[int]) -> dict[str, Any] | None:
    """The model with the highest mean score on these rows (in hindsight), and what it would have cost."""
    chosen = np.array(sorted(set(rows)), dtype=np.int64)
    answered = ~np.isnan(pool.score[chosen])
    counts = answered.sum(axis=0)
    # A model that answered only some queries cannot be compared with one that answered all.
    full = np.flatnonzero(counts == counts.max(initial=0))
    if not chosen.size or not counts.any():
        return None
    means = np.nansum(pool.score[chosen][:, full], axis=0) / counts[full]
    best = int(full[np.argmax(means)])
    return {
        "model": pool.models[best],
        "success": _rounded(float(means.max())),
        "cost_per_1k_usd": _per_1k(_known(pool.cost[chosen, best].tolist())),
    }


def _own_answer(pool: Pool, sent: Sent) -> bool:
    """Whether the upstream answered the query that was sent, or one with the same prompt."""
    if sent.query is None or sent.query == pool.queries.ids[sent.row]:
        return True
    if sent.query not in pool.queries.ids:
        return False
    other = pool.queries.ids.index(sent.query)
    same_prompt = pool.queries.prompts[other] == pool.queries.prompts[sent.row]
    return same_prompt or pool.queries.texts[other] == pool.queries.texts[sent.row]


def _by_model(done: Sequence[Realised]) -> dict[str, dict[str, Any]]:
    shares = Counter(each.model for each in done)
    models = {}
    for model, answered in shares.most_common():
        own = [each for each in done if each.model == model]
        models[model] = {
            "answered": answered,
            "share": _rounded(answered / len(done)),
            "success": _mean(_known([each.score for each in own])),
            "cost_per_1k_usd": _per_1k(_known([each.cost_usd for each in own])),
        }
    return models


def _cell(matrix: Floats, row: int, column: int) -> float | None:
    value = float(matrix[row, column])
    return None if np.isnan(value) else value


def _known(values: Sequence[float | None]) -> Floats:
    numbers = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    return numbers[~np.isnan(numbers)]


def _mean(values: Floats) -> float | None:
    return _rounded(float(values.mean())) if values.size else None


def _per_1k(costs: Floats) -> float | None:
    return _rounded(1000 * float(costs.mean())) if costs.size else None


def _standard_error(values: Floats) -> float | None:
    return _rounded(float(values.std(ddof=1)) / values.size**0.5) if values.size > 1 else None


def _spread(values: Sequence[float | None]) -> dict[str, float] | None:
    known = _known(values)
    if not known.size:
        return None
    p50, p99 = np.percentile(known, (50, 99))
    return {"mean": _rounded(float(known.mean())), "p50": _rounded(float(p50)), "p99": _rounded(float(p99))}


def _rounded(value: float) -> float:
    return round(value, DIGITS)
