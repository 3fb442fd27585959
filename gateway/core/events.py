"""A stream of server-sent events, scanned as bytes: only whole events go on, and what they say is noted on the way.

Events are not rebuilt, with two exceptions. Usage, when the client did not ask for it: the event that carries nothing
else is dropped, and `"usage":null` is cut out of the others; that text cannot be met inside a JSON string, where every
quote is escaped. And an error in a shape that OpenAI's clients do not expect, as a `code` that is a number, is put into
theirs.
"""

from __future__ import annotations

import re
from itertools import takewhile
from typing import Final

import msgspec

from gateway.core.rejections import reshaped
from gateway.core.reports import Report, read_report

BLANKS: Final = (b"\n\n", b"\n\r\n")  # how a blank line ends, after either kind of line end
END: Final = re.compile(rb"\r?\n\r?\n")
# looks back at the line's start: a pattern that begins with it is tried at every byte, for 100 µs of a burst of 3 KB
DONE: Final = re.compile(rb"data:(?<![^\n]data:) ?\[DONE\]\s*(?:\n|$)")
DATA: Final = re.compile(rb"^data: ?(.*?)\r?$", re.MULTILINE)
ENDED: Final = re.compile(rb'"type": ?"response\.(?:completed|incomplete|failed)"')
NO_USAGE: Final = re.compile(rb', ?"usage": ?null')
EVENT_LIMIT: Final = 4 * 1024 * 1024  # bytes of one event; an upstream that never ends one is broken


class EventStream:
    """Feed it chunks as they come; it gives back what may go on to the client."""

    def __init__(self, *, strip_usage: bool) -> None:
        self._strip_usage = strip_usage
        self._tail = bytearray()
        self.report = Report()  # what the events have told so far
        self.done = False  # the end marker has passed
        self.finished = False  # some choice gave its reason for ending
        self.error = b""  # the JSON of an event that is an error; nothing after it goes on
        self.garbled = False  # bytes came that are no UTF-8: an event that no client can read
        self.events = 0  # with content: about one token each

    @property
    def whole(self) -> bool:
        """Whether an end of the stream here leaves a whole answer."""
        return (self.done or self.finished) and not (self.error or self.garbled) and not self._tail.strip()

    @property
    def overflowing(self) -> bool:
        return len(self._tail) > EVENT_LIMIT

    def feed(self, chunk: bytes) -> bytes:
        """The whole events that this chunk completes."""
        ready = self._whole_events(chunk)
        if not ready.isascii() and not is_text(ready):
            ready = self._readable(ready)
        if not ready or self.error:
            return b""
        if tells(ready):
            ready = self._look_into(ready)
        elif self._strip_usage and b'"usage"' in ready:
            ready = NO_USAGE.sub(b"", ready)
        self.events += ready.count(b"\ndata:") + ready.startswith(b"data:")
        self.finished = self.finished or ends(ready)
        self.done = self.done or (b"[DONE]" in ready and DONE.search(ready) is not None)
        return ready

    def flush(self) -> bytes:
        """What may still go on at the end of the stream: an end marker without its blank line."""
        tail = bytes(self._tail)
        if self.error or not DONE.fullmatch(tail):
            return b""
        self._tail.clear()
        self.done = True
        return tail

    def _whole_events(self, chunk: bytes) -> bytes:
        """Cuts at the last blank line. Only the new bytes are searched, so a slow drip costs no more than a burst."""
        if not self._tail and chunk.endswith(b"\n\n"):
            return chunk
        start = max(0, len(self._tail) - 2)
        self._tail += chunk
        ends = [at + len(blank) for blank in BLANKS if (at := self._tail.rfind(blank, start)) >= 0]
        if not ends:
            return b""
        end = max(ends)
        ready = bytes(self._tail[:end])
        del self._tail[:end]
        return ready

    def _readable(self, ready: bytes) -> bytes:
        """The events before the one that is garbled; from there on nothing goes on."""
        self.garbled = True
        self._tail.clear()
        kept = list(takewhile(is_text, split(ready)))
        return b"".join(kept)

    def _look_into(self, ready: bytes) -> bytes:
        kept = []
        for event in split(ready):
            kept.append(self._note(event))
            if self.error:
                break
        return b"".join(kept)

    def _note(self, event: bytes) -> bytes:
        """Reads one event; the event, or what is left of it for this client."""
        data = payload(event)
        if not data.startswith(b"{"):
            return event
        try:
            report = read_report(data)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return event  # not ours to judge: the client's parser sees what the upstream sent
        if report.failed:
            self.error = data
            shaped = reshaped(data)
            return event if shaped is data else b"data: " + shaped + b"\n\n"
        self.report.add(report)
        if not self._strip_usage:
            return event
        return b"" if report.only_usage else NO_USAGE.sub(b"", event, count=1)


def tells(ready: bytes) -> bool:
    """Whether any of these events must be read. Plain searches: a pattern of alternatives costs ten times as much."""
    return (
        b'"error"' in ready
        or b'"usage":{' in ready
        or b'"usage": {' in ready
        or b'"tool_calls"' in ready
        or b'"call_id"' in ready
        or b'"response":' in ready
    )


def ends(ready: bytes) -> bool:
    """Whether a choice, or the response, says why it ends."""
    return (
        b'"finish_reason":"' in ready
        or b'"finish_reason": "' in ready
        or (b'"response.' in ready and ENDED.search(ready) is not None)
    )


def is_text(some: bytes) -> bool:
    try:
        some.decode()
    except UnicodeDecodeError:
        return False
    return True


def split(ready: bytes) -> list[bytes]:
    """Whole events, cut after every blank line; joined, they are the input again."""
    ends = [match.end() for match in END.finditer(ready)]
    return [ready[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def payload(event: bytes) -> bytes:
    """The data of one event; empty when it has none, as a comment."""
    return b"\n".join(DATA.findall(event))
