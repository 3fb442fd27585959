"""What stays while configurations come and go: the log and its writer, the stores of load and spending, the clocks."""

from __future__ import annotations

import time
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from gateway.core.loops import Loops
from gateway.errors import ConfigurationError
from gateway.feedback import Keep, Writer
from gateway.feedback.later import LaterStore
from gateway.spending import Spending
from gateway.telling import Telling

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager

    from gateway.feedback import DecisionLog
    from gateway.feedback.store import Store
    from gateway.load.opening import Stores
    from gateway.metrics import Metrics
    from gateway.settings import Settings
    from gateway.tracing import Traces

SQLITE: Final = "sqlite:///"

now: Final = time.monotonic  # the base of every loop's clock; uvloop's own has whole milliseconds only
wall: Final = time.time  # noqa: TID251 - handed out here, for dates alone


@dataclass(frozen=True, slots=True)
class House:
    """What stays while configurations come and go."""

    metrics: Metrics
    log: DecisionLog
    writer: Writer | None
    stores: Stores
    spending: Spending
    started: float  # seconds since the epoch
    traces: Traces | None
    telling: Telling | None
    loops: Loops = field(default_factory=Loops)


@asynccontextmanager
async def housed(
    settings: Settings,
    load: AbstractAsyncContextManager[Stores],
    *,
    metrics: Metrics,
    log: DecisionLog,
    store: Store | LaterStore | None,
) -> AsyncIterator[House]:
    """Opens all of it and closes it in turn; the log's writer outlives what serves queries.

    Args:
        settings: the first configuration. What it says of `load`, `log` and `telemetry` holds to the end.
        load: the stores of load and spending, not opened yet.
        metrics: told of everything.
        log: decisions in memory.
        store: where they are kept beyond it.

    Raises:
        ConfigurationError: an extra that is asked for is not installed.
    """
    async with (
        writing(settings, store, metrics, log) as writer,
        load as stores,
    ):
        traces, telling = traces_of(settings), Telling(wall) if settings.telemetry.decisions else None
        with ExitStack() as stack:
            if traces is not None:
                stack.callback(traces.close)
            if telling is not None:
                stack.enter_context(telling.running())
            spending = Spending(stores.allowances)
            yield House(metrics, log, writer, stores, spending, wall(), traces=traces, telling=telling)


@asynccontextmanager
async def writing(
    settings: Settings, store: Store | LaterStore | None, metrics: Metrics, log: DecisionLog
) -> AsyncIterator[Writer | None]:
    """The log's writer, where there is a log."""
    if store is None:
        yield None
        return
    its = settings.log
    keep = Keep(prompts=its.prompts, days=its.retention_days, rows=its.max_rows, buffer=its.buffer)
    writer = Writer(store, keep, scores=log.score, observer=metrics.log, wall=wall)
    async with writer.running():
        yield writer


def store_of(settings: Settings) -> Store | LaterStore | None:
    """The configured log, or None where decisions are kept in memory alone. Nothing is opened yet.

    Raises:
        ConfigurationError: its URL cannot be used.
    """
    url = settings.log.url.get_secret_value()
    if not url:
        return None
    if url.startswith(SQLITE):
        return LaterStore(url)
    from gateway.feedback.store import Store  # noqa: PLC0415 - SQLAlchemy; a driver that is missing is told at once

    return Store(url)


def traces_of(settings: Settings) -> Traces | None:
    """Spans, or None where they are not asked for; then nothing of them is even imported.

    Raises:
        ConfigurationError: the extra is not installed.
    """
    if not settings.telemetry.traces:
        return None
    try:
        from gateway.tracing import Traces  # noqa: PLC0415 - of the extra otel
    except ImportError as error:
        raise ConfigurationError("telemetry.traces: needs the extra: pip install 'paretogate[otel]'") from error
    return Traces(wall=wall, now=now)
