"""What an endpoint can do wrong: with nobody else to answer, and beside one that is well."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.faults.record import Found, Record
from tests.faults.seeing import application
from tests.faults.upstream_rows import MODES, REFUSING, ROWS, Row

if TYPE_CHECKING:
    from tests.faults.stage import Stage

PARAMETERS = [
    pytest.param(row, id=row.model, marks=[] if row.quick else [pytest.mark.faults]) for row in ROWS
]  # fmt: skip


@pytest.mark.parametrize("row", PARAMETERS)
async def test_an_endpoint_that(row: Row, stage: Stage, record: Record) -> None:
    await stage.earn_retries()
    fault = () if row.kind == REFUSING else (f"{row.model}={row.kind}" + (f":{row.how}" if row.how else ""),)
    async with application(stage.url) as app:
        seen = {}
        for asked in (row.model, f"or-{row.model}") if row.excludes else (f"or-{row.model}", row.model):
            await stage.order(*fault)
            seen[asked] = await app.sees(asked, stream=row.stream, by=row.model)
        held = await stage.idle()
        await stage.order()
        recovered = None if row.kind == REFUSING else await app.well(row.model, within=120.0)
    alone, beside = seen[row.model], seen[f"or-{row.model}"]
    record.add(Found("An endpoint", row.fault, MODES[row.stream], alone, beside, leases=held, recovered_s=recovered))
    assert (alone, beside, held) == (row.alone, row.beside, 0)
