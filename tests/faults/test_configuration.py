"""The configuration changes for the worse while an answer is on its way."""

from __future__ import annotations

import asyncio
import re
from signal import SIGHUP
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.faults import process_rows as rows
from tests.faults.record import Found, Record
from tests.faults.seeing import application
from tests.faults.stage import PATIENCE_S, PATIENT, STEADY, Stage, fleet, gateway, replaying, until

if TYPE_CHECKING:
    from pathlib import Path

LONG = "long"
READ = re.compile(r'^paretogate_config_reloads_total\{result="(.+)"\} 1\.0$', re.MULTILINE)
RESULT = {rows.BROKEN: "failure", rows.DROPPED: "success"}

pytestmark = pytest.mark.faults


def changed(tree: dict[str, Any], fault: str) -> str:
    """The configuration as it is from then on."""
    if fault == rows.BROKEN:
        return "models: 7\n"
    return yaml.safe_dump(
        tree
        | {"models": [each for each in tree["models"] if each["name"] == STEADY], "routes": []}
        | {"endpoints": [each for each in tree["endpoints"] if each["model"] == STEADY]}
    )


@pytest.mark.parametrize("row", [row for row in rows.ROWS if row.group == rows.CONFIG], ids=lambda row: row.fault)
async def test_a_configuration_that(row: rows.Row, tmp_path: Path, record: Record) -> None:
    with replaying(tmp_path, [LONG]) as upstream:
        tree = fleet(upstream, [LONG], each={"timeout": PATIENT})
        with gateway(tmp_path, tree, upstream) as stage:
            await stage.order(f"{LONG}=drip")
            async with application(stage.url) as app, asyncio.TaskGroup() as group:
                streams = [group.create_task(app.sees(LONG, stream=True)) for _ in range(4)]
                await until(lambda: holds(stage, 4), within=PATIENCE_S)
                (tmp_path / "gateway-0.yaml").write_text(changed(tree, row.fault), encoding="utf-8")
                stage.program.process.send_signal(SIGHUP)
                await until(lambda: read(stage, RESULT[row.fault]), within=PATIENCE_S)
                assert await holds(stage, 4)
            async with application(stage.url) as app:
                seen = {stream.result() for stream in streams} | {await app.sees(STEADY, stream=False)}
            held = await stage.idle()
            stage.faultless()
    saw = rows.WHOLE if seen == {"the whole answer"} else ", ".join(sorted(seen))
    record.add(Found(row.group, row.fault, row.phase, saw, leases=held))
    assert (saw, held) == (row.saw, 0)


async def holds(stage: Stage, slots: int) -> bool:
    return (await stage.leases()).get(f"{LONG}-1") == slots


async def read(stage: Stage, result: str) -> bool:
    return result in READ.findall(await stage.metrics())
