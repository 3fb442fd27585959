"""Predictions as estimates: which column describes whom, what is cached, and what serves instead of a predictor."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest

from gateway.core.estimate import Source
from gateway.core.fleet import Fleet
from gateway.domain import Capacity, Endpoint, Model, Price, Prior, Query
from gateway.errors import ConfigurationError
from gateway.estimator import Estimator, columns_for
from gateway.estimator.estimator import QUICK_S
from gateway.metrics import Metrics
from tests.fakes import FakePredictor, held_out

if TYPE_CHECKING:
    from collections.abc import Sequence

    from predictors.base import Prediction, Predictor, Prompt

MODELS = [
    Model("ours", Price(1, 2), like="gpt-4o"),
    Model("new", Price(4, 8), prior=Prior(0.7, 20, output_tokens=50)),
    Model("nobody", Price(1, 1)),
]
FLEET = Fleet(MODELS, [Endpoint(m.name, m.name, "http://127.0.0.1:1", Capacity(1)) for m in MODELS], [])
KNOWN = FakePredictor(("gpt-4o-2024-08-06", "other"), (0.1, 0.0))


def query(text: str, max_tokens: int | None = None) -> Query:
    messages = msgspec.json.encode([{"role": "user", "content": text}])
    return Query(id=text, target="auto", messages=messages, characters=len(text), max_tokens=max_tokens)


def estimator(predictor: Predictor | None, *, budget_s: float = 5.0, cache_size: int = 10) -> Estimator:
    metrics = Metrics((), ("ours", "new", "nobody"), ())
    columns = columns_for(MODELS, predictor)
    return Estimator(FLEET, columns, predictor, metrics, budget_s=budget_s, cache_size=cache_size)


async def test_a_model_is_described_by_its_like_else_by_its_prior() -> None:
    async with estimator(KNOWN) as its:
        [estimate] = await its.estimate([query("0.6 hello")])
    np.testing.assert_allclose(estimate.quality, [0.7, 0.7, 0.5], atol=1e-6)
    assert estimate.source is Source.PREDICTED
    assert estimate.quality_sd[1] == pytest.approx(np.sqrt(0.7 * 0.3 / 21))


async def test_cost_is_tokens_times_price_and_the_clients_limit_clips_it() -> None:
    async with estimator(KNOWN) as its:
        free, clipped = await its.estimate([query("0.6" + "x" * 397), query("0.6" + "y" * 397, max_tokens=20)])
    assert free.input_tokens[0] == 100
    assert free.cost_usd[0] == pytest.approx((100 * 1 + 100 * 2) / 1e6)
    assert clipped.cost_usd[0] == pytest.approx((100 * 1 + 20 * 2) / 1e6)
    assert free.cost_usd[1] == pytest.approx((100 * 4 + 50 * 8) / 1e6)


async def test_what_history_says_of_a_model_is_its_prior_unless_the_operator_states_one() -> None:
    cells = held_out(KNOWN)
    known = [cells.score[:, 0].mean(), 0.7, 0.5]
    columns = columns_for(MODELS, KNOWN, cells)
    metrics = Metrics((), ("ours", "new", "nobody"), ())
    async with Estimator(FLEET, columns, Broken(("gpt-4o",), (0.0,)), metrics, budget_s=5, cache_size=1) as its:
        [estimate] = await its.estimate([query("0.9 hello")])
        np.testing.assert_allclose(estimate.quality, known, atol=1e-6)
        assert estimate.output_tokens.tolist() == [100, 50, 256]
        assert its.expect(query("0.9 hello"), 0).quality == pytest.approx(known[0])


async def test_another_predictor_is_adopted_and_what_the_last_one_said_is_forgotten() -> None:
    async with estimator(KNOWN) as its:
        before, after = columns_for(MODELS, KNOWN), columns_for(MODELS, FakePredictor(("x", "gpt-4o"), (0.0, 0.0)))
        [first] = await its.estimate([query("0.6 hello")])
        its.adopt(after)
        [second] = await its.estimate([query("0.6 hello")])
        its.adopt(before)
    assert (first.quality[0], second.quality[0]) == pytest.approx((0.7, 0.6))


def test_a_like_that_nobody_knows_is_an_error_with_the_nearest() -> None:
    with pytest.raises(ConfigurationError, match=r"models\[0\].like: the predictor knows no 'gpt-4x'.*gpt-4o"):
        columns_for([Model("ours", Price(1, 1), like="gpt-4x")], KNOWN)


async def test_a_prompt_is_predicted_once_while_it_is_remembered() -> None:
    predictor = FakePredictor(("gpt-4o",), (0.0,))
    async with estimator(predictor, cache_size=2) as its:
        await its.estimate([query("0.1 a"), query("0.1 a"), query("0.2 b")])
        assert len(predictor.asked) == 2
        await its.estimate([query("0.1 a")])
        assert len(predictor.asked) == 2
        await its.estimate([query("0.3 c")])
        await its.estimate([query("0.2 b")])
        assert [prompt.text for prompt in predictor.asked] == ["0.1 a", "0.2 b", "0.3 c", "0.2 b"]


async def test_without_a_predictor_the_priors_serve() -> None:
    async with estimator(None) as its:
        [estimate] = await its.estimate([query("0.9 hello")])
    np.testing.assert_allclose(estimate.quality, [0.5, 0.7, 0.5])
    assert estimate.source is Source.PRIOR


class Broken(FakePredictor):
    def predict(self, prompts: Sequence[Prompt]) -> Prediction:
        raise RuntimeError(f"{len(prompts)} prompts are too many")


class Stuck(FakePredictor):
    def __init__(self) -> None:
        super().__init__(("gpt-4o",), (0.0,))
        self.go = threading.Event()

    def predict(self, prompts: Sequence[Prompt]) -> Prediction:
        assert self.go.wait(timeout=30)
        return super().predict(prompts)


async def test_a_predictor_that_fails_is_replaced_by_the_priors() -> None:
    async with estimator(Broken(("gpt-4o",), (0.0,))) as its:
        [estimate] = await its.estimate([query("0.9 hello")])
    assert estimate.source is Source.PRIOR


async def test_a_predictor_that_is_late_is_replaced_by_the_priors() -> None:
    stuck = Stuck()
    async with estimator(stuck, budget_s=0.01) as its:
        [estimate] = await its.estimate([query("0.9 hello")])
        stuck.go.set()
    assert estimate.source is Source.PRIOR


class Placed(FakePredictor):
    """Notes on which threads it predicts."""

    def __init__(self, quick: int) -> None:
        super().__init__(("gpt-4o",), (0.0,))
        self.quick = quick
        self.threads: list[str] = []

    def predict(self, prompts: Sequence[Prompt]) -> Prediction:
        self.threads.append(threading.current_thread().name)
        return super().predict(prompts)


async def test_what_is_quick_is_predicted_without_another_thread() -> None:
    predictor = Placed(quick=1)
    async with estimator(predictor) as its:
        [alone] = await its.estimate([query("0.6 a")])
        beside, _ = await its.estimate([query("0.6 b"), query("0.2 c")])
    assert predictor.threads == [threading.current_thread().name, "predict"]
    assert alone.quality.tolist() == beside.quality.tolist()


async def test_where_many_come_a_few_are_left_to_the_thread_too_until_few_come_again() -> None:
    predictor = Placed(quick=1)
    async with estimator(predictor) as its:
        await its.estimate([query(f"0.6 many {number}") for number in range(50)])
        for number in range(30):
            await its.estimate([query(f"0.6 one {number}")])
    on_loop = [name != "predict" for name in predictor.threads]
    assert on_loop == sorted(on_loop)  # from some point on
    assert not any(on_loop[:5])
    assert all(on_loop[-5:])


async def test_within_a_budget_that_it_may_miss_nothing_is_quick() -> None:
    predictor = Placed(quick=1)
    async with estimator(predictor, budget_s=QUICK_S / 2) as its:
        await its.estimate([query("0.6 a")])
    assert threading.current_thread().name not in predictor.threads


async def test_a_predictor_at_work_on_what_was_given_up_is_not_asked_from_a_second_thread() -> None:
    stuck = Stuck()
    async with estimator(stuck, budget_s=0.01) as its:
        await its.estimate([query("0.9 late")])
        stuck.quick = 1
        [estimate] = await its.estimate([query("0.8 hello")])
        assert estimate.source is Source.PRIOR
        stuck.go.set()


async def test_any_messages_have_an_estimate() -> None:
    odd = [b'[{"role":"user","content":null}]', b"[]", b'"plain"', b'[{"content":[{"type":"image_url"},{"text":"t"}]}]']
    async with estimator(KNOWN) as its:
        estimates = await its.estimate([Query(id="q", target="auto", messages=messages) for messages in odd])
    assert all(np.isfinite(estimate.cost_usd).all() for estimate in estimates)


def test_the_curves_sample_is_in_the_fleets_order_at_its_prices() -> None:
    columns = columns_for(MODELS, KNOWN)
    cells = held_out(KNOWN)
    sample = columns.sample(cells, FLEET, ("new", "ours"))
    np.testing.assert_allclose(sample.quality[:, 1], cells.quality[:, 0])
    assert (sample.quality[:, 0] == 0.7).all()
    assert np.isnan(sample.score[:, 0]).all()
    np.testing.assert_allclose(sample.cost_usd[:, 1], (100 * 1 + 100 * 2) / 1e6)
    np.testing.assert_allclose(sample.cost_usd[:, 0], (100 * 4 + 50 * 8) / 1e6)


def test_without_an_artifact_the_sample_is_one_ordinary_query() -> None:
    sample = columns_for(MODELS, None).sample(None, FLEET, ("ours", "new"))
    assert sample.quality.tolist() == [[0.5, 0.7]]
    np.testing.assert_allclose(sample.cost_usd, [[(250 * 1 + 256 * 2) / 1e6, (250 * 4 + 50 * 8) / 1e6]])


def test_a_model_in_wide_use_that_history_does_not_know_has_a_stand_in() -> None:
    known = FakePredictor(("Llama-3.1-70B", "other"), (0.0, 0.0))
    assert columns_for([Model("ours", Price(1, 1), like="gpt-4o-mini")], known).known.tolist() == [0]
    assert columns_for([Model("gpt-4o-mini", Price(1, 1))], known).known.tolist() == [0]
