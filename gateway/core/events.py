"""A stream of server-sent events, scanned as bytes: only whole events go on, and what they say is noted on the way.

Events are not rebuilt. The one thing that is changed is usage, when the client did not ask for it: the event that
carries nothing else is dropped, and `"usage":null` is cut out of the others. That text cannot be met inside a JSON
string, where every quote is escaped.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from gateway.domain import Usage

BLANKS: Final = (b"\n\n", b"\n\r\n")  # how a blank line ends, after either kind of line end
END: Final = re.compile(rb"\r?\n\r?\n")
DONE: Final = re.compile(rb"(?:^|\n)data: ?\[DONE\]\s*$")
DATA: Final = re.compile(rb"^data: ?(.*?)\r?$", re.MULTILINE)
FINISHED: Final = re.compile(rb'"finish_reason": ?"|"type": ?"response\.completed"')
USAGE: Final = re.compile(rb'"usage": ?\{')
NO_USAGE: Final = re.compile(rb', ?"usage": ?null')
EVENT_LIMIT: Final = 4 * 1024 * 1024  # bytes of one event; an upstream that never ends one is broken


class Details(msgspec.Struct):
    cached_tokens: int | None = None


class Tokens(msgspec.Struct):
    """Usage as the chat, completion and response surfaces spell it."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: Details | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    input_tokens_details: Details | None = None

    def usage(self) -> Usage:
        """Zero is a number, not a missing one; cached tokens never exceed the input."""
        inputs = self.prompt_tokens if self.prompt_tokens is not None else self.input_tokens
        outputs = self.completion_tokens if self.completion_tokens is not None else self.output_tokens
        details = self.prompt_tokens_details or self.input_tokens_details
        cached = (details.cached_tokens or 0) if details else 0
        given = max(0, inputs or 0)
        return Usage(given, max(0, outputs or 0), min(max(0, cached), given))


class Inner(msgspec.Struct):
    usage: Tokens | None = None


class Event(msgspec.Struct):
    """What is read of an event, or of a whole answer."""

    choices: list[msgspec.Raw] | None = None
    usage: Tokens | None = None
    response: Inner | None = None  # `response.completed` of the response surface
    error: msgspec.Raw = msgspec.Raw()  # empty: not there

    @property
    def tokens(self) -> Tokens | None:
        return self.usage or (self.response.usage if self.response else None)

    @property
    def failed(self) -> bool:
        """Whether a client would take this for an error: anything that is true in its language."""
        return bytes(self.error) not in (b"", b"null", b"{}", b'""', b"false", b"0", b"[]")


READ: Final = msgspec.json.Decoder(Event)


class EventStream:
    """Feed it chunks as they come; it gives back what may go on to the client."""

    def __init__(self, *, strip_usage: bool) -> None:
        self._strip_usage = strip_usage
        self._tail = bytearray()
        self.usage: Usage | None = None
        self.done = False  # the end marker has passed
        self.finished = False  # some choice gave its reason for ending
        self.failed = False  # an event carried an error
        self.deltas = 0  # events with content: about one token each

    @property
    def whole(self) -> bool:
        """Whether an end of the stream here leaves a whole answer."""
        return (self.done or self.finished) and not self._tail.strip()

    @property
    def overflowing(self) -> bool:
        return len(self._tail) > EVENT_LIMIT

    def feed(self, chunk: bytes) -> bytes:
        """The whole events that this chunk completes."""
        ready = self._whole_events(chunk)
        if not ready:
            return b""
        self.deltas += ready.count(b'"delta"')
        self.done = self.done or (b"[DONE]" in ready and DONE.search(ready) is not None)
        self.finished = self.finished or FINISHED.search(ready) is not None
        if b'"error"' in ready or USAGE.search(ready) is not None:
            return b"".join(map(self._note, _events(ready)))
        return NO_USAGE.sub(b"", ready) if self._strip_usage and b'"usage"' in ready else ready

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

    def _note(self, event: bytes) -> bytes:
        """Reads usage and errors out of one event; the event, or what is left of it for this client."""
        data = DATA.search(event)
        if data is None or not data[1].startswith(b"{"):
            return event
        try:
            read = READ.decode(data[1])
        except (msgspec.DecodeError, UnicodeDecodeError):
            return event  # not ours to judge: the client's parser sees what the upstream sent
        self.failed = self.failed or read.failed
        if read.tokens is not None:
            self.usage = read.tokens.usage()
            if self._strip_usage and read.choices == []:
                return b""
        return NO_USAGE.sub(b"", event, count=1) if self._strip_usage else event


def _events(ready: bytes) -> list[bytes]:
    """Cut after every blank line; joined, they are the input again."""
    ends = [match.end() for match in END.finditer(ready)]
    return [ready[start:end] for start, end in zip([0, *ends], ends, strict=False)]
