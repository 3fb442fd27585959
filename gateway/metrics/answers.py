"""What is counted when a query is settled, and when feedback on it comes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gateway.metrics import buckets
from gateway.metrics.tally import Counter, Histogram, Tally

if TYPE_CHECKING:
    from collections.abc import Mapping

OTHER: Final = "other"
PARTS: Final = ("parse", "window", "predict", "assign", "reserve", "connect")
BINS: Final = 10  # of predicted quality, equally wide
BIN_NAMES: Final = tuple(f"{edge / BINS:.1f}-{(edge + 1) / BINS:.1f}" for edge in range(BINS))
GENAI_LABELS: Final = ("gen_ai_request_model", "gen_ai_response_model", "gen_ai_provider_name")


class AnswerInstruments:
    """By route, model and how it ended.

    Args:
        tally: where they are counted.
        providers: by model, the kind of its endpoints.
    """

    def __init__(self, tally: Tally, providers: Mapping[str, str]) -> None:
        self.providers = providers
        self.queries = Counter(
            "paretogate_queries", "Queries by how they ended", ["route", "model", "outcome"], tally=tally
        )
        self.tokens = Histogram(
            "gen_ai_client_token_usage",
            "Tokens of one answer",
            [*GENAI_LABELS[1:], "gen_ai_token_type"],
            buckets=buckets.TOKENS,
            tally=tally,
        )
        self.duration = Histogram(
            "gen_ai_server_request_duration_seconds",
            "From arrival to the last byte",
            GENAI_LABELS,
            buckets=buckets.ANSWER,
            tally=tally,
        )
        self.first_token = Histogram(
            "gen_ai_server_time_to_first_token_seconds",
            "From arrival to the first byte of content",
            GENAI_LABELS,
            buckets=buckets.ANSWER,
            tally=tally,
        )
        self.per_token = Histogram(
            "gen_ai_server_time_per_output_token_seconds",
            "From the first byte of content to the last, by output token after the first",
            GENAI_LABELS,
            buckets=buckets.TOKEN_TIME,
            tally=tally,
        )
        self.cost = Counter("paretogate_cost_usd", "Cost of answers", ["route", "model", "kind"], tally=tally)
        self.quality = Counter(
            "paretogate_predicted_quality", "Sum of predicted quality of the choices", ["route", "model"], tally=tally
        )
        self.counterfactual = Counter(
            "paretogate_counterfactual_cost_usd",
            "What the same queries were predicted to cost under another rule",
            ["route", "rule"],
            tally=tally,
        )
        self.retries = Counter(
            "paretogate_retries",
            "Attempts after the first, at another endpoint of the same model or at another model",
            ["kind"],
            tally=tally,
        )
        self.retried = {kind: self.retries.labels(kind) for kind in ("same_model", "other_model")}
        parts = Histogram(
            "paretogate_overhead_seconds",
            "Time that the gateway adds to an answer, by part",
            ["part"],
            buckets=buckets.PARTS,
            tally=tally,
        )
        self.parts = {part: parts.labels(part) for part in PARTS}


class FeedbackInstruments:
    """What feedback says, beside what was predicted for the same answers."""

    def __init__(self, tally: Tally) -> None:
        self.count = Counter("paretogate_feedback", "Answers with feedback", ["route", "model"], tally=tally)
        self.score = Counter(
            "paretogate_realised_quality", "Sum of realised quality, by feedback", ["route", "model"], tally=tally
        )
        self._predicted = Counter(
            "paretogate_feedback_predicted_quality",
            "Sum of predicted quality of the answers with feedback",
            ["route", "model"],
            tally=tally,
        )
        labels = ["route", "bin"]
        self._bin_count = Counter(
            "paretogate_calibration_answers", "Answers with feedback, by predicted quality", labels, tally=tally
        )
        self._bin_score = Counter(
            "paretogate_calibration_quality", "Sum of their realised quality", labels, tally=tally
        )

    def scored(self, route: str, model: str, *, predicted: float, score: float) -> None:
        self.count.labels(route, model).inc()
        self.score.labels(route, model).inc(score)
        self._predicted.labels(route, model).inc(predicted)
        bin_name = BIN_NAMES[min(int(predicted * BINS), BINS - 1)]
        self._bin_count.labels(route, bin_name).inc()
        self._bin_score.labels(route, bin_name).inc(score)


class Answers:
    """Children of the instruments that settling one query touches, resolved once."""

    __slots__ = (
        "actual_cost",
        "best",
        "cheapest",
        "duration",
        "first_token",
        "greedy",
        "input_tokens",
        "output_tokens",
        "per_token",
        "predicted_cost",
        "predicted_quality",
        "queries",
    )

    def __init__(self, instruments: AnswerInstruments, target: str, model: str, outcome: str) -> None:
        provider = instruments.providers.get(model, OTHER)
        self.queries = instruments.queries.labels(target, model, outcome)
        self.duration = instruments.duration.labels(target, model, provider)
        self.first_token = instruments.first_token.labels(target, model, provider)
        self.per_token = instruments.per_token.labels(target, model, provider)
        self.input_tokens = instruments.tokens.labels(model, provider, "input")
        self.output_tokens = instruments.tokens.labels(model, provider, "output")
        self.actual_cost = instruments.cost.labels(target, model, "actual")
        self.predicted_cost = instruments.cost.labels(target, model, "predicted")
        self.predicted_quality = instruments.quality.labels(target, model)
        self.best = instruments.counterfactual.labels(target, "best")
        self.cheapest = instruments.counterfactual.labels(target, "cheapest")
        self.greedy = instruments.counterfactual.labels(target, "greedy")
