"""Made-up files of queries to assign, with the sample that promises are read from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gateway.core.capacity import UNLIMITED
from gateway.domain import MinQuality
from gateway.lab.methods.case import Case
from tests.core.samples import sample

if TYPE_CHECKING:
    from gateway.domain import Objective

ASKED = MinQuality(0.70)


def case(
    objective: Objective = ASKED,
    *,
    queries: int = 600,
    batch_size: int = 16,
    slots: list[int] | None = None,
    in_order: bool = False,
) -> Case:
    """Four models, the dearer the better; the plug-in sees qualities through noise."""
    file = sample(seed=7, queries=queries)
    noise = np.random.default_rng(8).normal(0, 0.1, file.quality.shape)
    models = file.quality.shape[1]
    return Case(
        quality=file.quality,
        quality_sd=file.quality_sd,
        cost=file.cost_usd,
        plain=np.clip(file.quality + noise, 0, 1),
        sample=sample(seed=1),
        objective=objective,
        batch_size=batch_size,
        slots=np.array(slots or [int(UNLIMITED)] * models, dtype=np.int64),
        in_order=in_order,
    )
