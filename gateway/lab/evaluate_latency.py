"""How long a prediction takes: the predictor alone, on the thread that calls it."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from gateway.lab.evaluate_results import Latency
from predictors.base import Prompt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from predictors.base import Predictor

BATCHES = (1, 16, 64)
CHARACTERS = 240  # about 60 tokens
REPEATS = 60
WARM_UP = 5


def latency(
    predictor: Predictor, prompts: Sequence[Prompt], clock: Callable[[], float] = perf_counter
) -> tuple[Latency, ...]:
    """Times `predict` on prompts of about 60 tokens, no prompt twice in a row, for each size of batch.

    On a machine that others use too, `process_time` as the clock tells the work from the waiting.
    """
    short = list(_short(prompts))
    return tuple(_time(predictor, short, size, clock) for size in BATCHES)


def _short(prompts: Sequence[Prompt]) -> Iterator[Prompt]:
    """Pieces of the prompts' texts; a text that is shorter is filled up with the next."""
    text = "\n".join(prompt.text for prompt in prompts)
    need = max(BATCHES) * 4 * CHARACTERS
    text *= -(-need // max(1, len(text)))
    for start in range(0, min(len(text), 16 * need) - CHARACTERS + 1, CHARACTERS):
        yield Prompt(text[start : start + CHARACTERS])


def _time(predictor: Predictor, prompts: Sequence[Prompt], size: int, clock: Callable[[], float]) -> Latency:
    seconds = []
    for turn in range(WARM_UP + REPEATS):
        at = turn * size % (len(prompts) - size)
        began = clock()
        predictor.predict(prompts[at : at + size])
        seconds.append(clock() - began)
    median, late = np.percentile(seconds[WARM_UP:], [50, 90]) * 1e3
    return Latency(size, float(median), float(late))
