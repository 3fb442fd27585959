"""One request over one pooled connection: aiohttp's pool, resolver, TLS and parser, without its client on top.

For every request the client builds URLs, header maps, payloads and writers anew, which costs as much CPU as all else
of a query. An endpoint's are always the same but for a few bytes.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, cast

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.http import HttpProcessingError
from yarl import URL

from gateway import __version__
from gateway.upstream.secrets import Secrets

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp import StreamReader
    from aiohttp.connector import Connection
    from aiohttp.http import RawResponseMessage
    from pydantic import SecretStr

    from gateway.core.decision import Stopwatch
    from gateway.domain import Endpoint
    from gateway.upstream.guard import Guard

SWITCHED: Final = 101
INFORMATIONAL: Final = frozenset(range(100, 200)) - {SWITCHED}  # heads that another follows
NO_TIMEOUT: Final = aiohttp.ClientTimeout(total=None)  # the guard's is for the whole answer
# answers are read as bytes, so they are to come as such; some providers refuse clients without a name
SENT_ALWAYS: Final = {"accept": "*/*", "accept-encoding": "identity", "user-agent": f"paretogate/{__version__}"}


class Protocol(ResponseHandler):
    """aiohttp's. It runs its parser and asks its transport to go on at every read (3.14), though nothing was paused."""

    def resume_reading(self, resume_parser: bool = True) -> None:  # noqa: FBT001, FBT002 - aiohttp's signature
        if self._reading_paused:
            super().resume_reading(resume_parser)


class Connector(aiohttp.TCPConnector):
    """Connections to all upstreams. Leases limit what is in flight: a second limit would only hide load from them."""

    def __init__(self) -> None:
        super().__init__(limit=0, keepalive_timeout=30, ttl_dns_cache=60)
        self._factory = cast("partial[ResponseHandler]", partial(Protocol, loop=self._loop))


class Address:
    """One path of one endpoint, with all of a request's head that never changes."""

    __slots__ = ("head", "request", "secrets")

    def __init__(self, endpoint: Endpoint, path: str, key: SecretStr | None) -> None:
        url = URL(endpoint.url + path)
        self.request = aiohttp.ClientRequest("POST", url)
        headers = {"host": self.request.headers["host"], **SENT_ALWAYS}
        if key is not None:
            headers["authorization"] = f"Bearer {key.get_secret_value()}"
        elif "authorization" in self.request.headers:  # from the URL
            headers["authorization"] = self.request.headers["authorization"]
        told = headers.get("authorization", "").partition(" ")[2]
        self.secrets = Secrets(filter(None, (told, url.password, url.raw_password)))
        self.head = _lines(f"POST {self.request.url.raw_path_qs} HTTP/1.1", headers)


class Answer:
    """What came back, its body still to be read. Release it, whatever happens."""

    __slots__ = ("_connection", "content", "headers", "raw_headers", "secrets", "status")

    def __init__(
        self, connection: Connection, message: RawResponseMessage, content: StreamReader, secrets: Secrets
    ) -> None:
        self._connection = connection
        self.secrets = secrets  # that it may quote
        self.status = message.code
        self.headers = message.headers
        self.raw_headers = message.raw_headers
        self.content = content

    @property
    def content_type(self) -> str:
        """Without its parameters, in lower case."""
        told: str = self.headers.get("content-type", "")
        return told.partition(";")[0].strip().lower()

    def release(self) -> None:
        """The connection may serve others when all of the answer has been read; else it is closed."""
        self._connection.release()


async def post(
    connector: aiohttp.BaseConnector,
    address: Address,
    headers: Mapping[str, str],
    body: bytes,
    *,
    watch: Stopwatch,
    guard: Guard,
) -> Answer:
    """Sends a request; the head of its answer. The lap "connect" ends when there is a connection to write to.

    Raises:
        aiohttp.ClientError: the endpoint cannot be reached, broke off, or does not speak HTTP.
    """
    connection = await connector.connect(address.request, [], NO_TIMEOUT)
    guard.connected()
    watch.lap("connect", guard.now())
    head = _lines("", {**headers, "content-length": str(len(body))})
    try:
        return await _exchange(connection, b"%b%b\r\n%b" % (address.head, head, body), address.secrets)
    except HttpProcessingError as error:
        connection.close()
        raise aiohttp.ClientPayloadError(error.message) from error
    except BaseException:
        connection.close()
        raise


async def _exchange(connection: Connection, request: bytes, secrets: Secrets) -> Answer:
    protocol, transport = connection.protocol, connection.transport
    if protocol is None or transport is None:
        raise aiohttp.ServerDisconnectedError
    protocol.set_response_params(read_until_eof=True)
    transport.write(request)  # all at once: what the socket does not take now, uvloop keeps without a copy
    message, content = await protocol.read()
    while message.code in INFORMATIONAL:
        message, content = await protocol.read()
    return Answer(connection, message, content, secrets)


def _lines(first: str, headers: Mapping[str, str]) -> bytes:
    """Each with its end. The values were headers before, or come from the configuration, which looks at them."""
    lines = [f"{name}: {value}\r\n" for name, value in headers.items()]
    return "".join([f"{first}\r\n" if first else "", *lines]).encode("latin-1")
