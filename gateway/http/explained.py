"""The decision inside an answer, for a client that asked with `explain`: the only thing that is added to a body."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from gateway.core.events import DONE, ENDED, payload, split

if TYPE_CHECKING:
    from gateway.http.surface import Surface
    from gateway.pipeline import Served


def explained_body(body: bytes, served: Served) -> bytes:
    """A whole answer with one more field, `routing`."""
    return _with_routing(body, msgspec.json.encode(served.explain()))


def explained_events(events: bytes, served: Served, surface: Surface) -> bytes:
    """Whole events; those that end the stream carry the decision, or are preceded by one that does."""
    if not surface.done_marker:
        return b"".join(_last_event(event, served) for event in split(events))
    marker = DONE.search(events)
    if marker is None:
        return events
    start = marker.start()
    chunk = {"id": served.decision.query.id, "object": surface.chunk, "created": 0, "model": served.decision.model}
    return b"%b%b\n\n%b" % (
        events[:start],
        b"data: " + msgspec.json.encode({**chunk, "choices": [], "routing": served.explain()}),
        events[start:],
    )


def _last_event(event: bytes, served: Served) -> bytes:
    if ENDED.search(event) is None:
        return event
    data = payload(event)
    return event.replace(data, explained_body(data, served)) if data in event else event


def _with_routing(body: bytes, routing: bytes) -> bytes:
    fields = body.rstrip()[:-1]
    comma = b"" if fields.rstrip().endswith(b"{") else b","
    return fields + comma + b'"routing":' + routing + b"}"
