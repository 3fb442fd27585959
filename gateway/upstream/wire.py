"""One request over one pooled connection: aiohttp's pool, resolver and TLS, without its client on top.

For every request that builds URLs, header maps, payloads and writers anew, which costs as much CPU as all else
of a query. An endpoint's are always the same but for a few bytes.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, cast

import aiohttp
from yarl import URL

from gateway import __version__
from gateway.upstream.protocol import Protocol
from gateway.upstream.secrets import Secrets
from gateway.upstream.unpacked import CODINGS, Unpacked

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp.client_proto import ResponseHandler
    from aiohttp.connector import Connection
    from pydantic import SecretStr

    from gateway.core.decision import Stopwatch
    from gateway.domain import Endpoint
    from gateway.upstream.guard import Guard
    from gateway.upstream.protocol import Head

NO_TIMEOUT: Final = aiohttp.ClientTimeout(total=None)  # the guard's is for the whole answer
# answers are read as bytes, so they are to come as such; some providers refuse clients without a name
SENT_ALWAYS: Final = {"accept": "*/*", "accept-encoding": "identity", "user-agent": f"paretogate/{__version__}"}


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

    __slots__ = ("_connection", "body", "head", "secrets", "status")

    def __init__(self, connection: Connection, body: Protocol, head: Head, secrets: Secrets) -> None:
        self._connection = connection
        # to be read in parts, until the answer is released
        self.body = Unpacked(body) if head.first(b"content-encoding").lower() in CODINGS else body
        self.secrets = secrets  # that it may quote
        self.head = head
        self.status = head.status

    @property
    def content_type(self) -> str:
        """Without its parameters, in lower case."""
        return self.head.first(b"content-type").decode("latin-1").partition(";")[0].strip().lower()

    @property
    def headers(self) -> Mapping[str, str]:
        """By name, in lower case; of several the first."""
        return {name.decode("latin-1"): value.decode("latin-1") for name, value in reversed(self.head.headers)}

    def release(self) -> None:
        """The connection may serve others when all of the answer has come; else it is closed."""
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
        protocol = cast("Protocol", connection.protocol)
        protocol.ask(b"%b%b\r\n%b" % (address.head, head, body))
        return Answer(connection, protocol, await protocol.head(), address.secrets)
    except BaseException:
        connection.close()
        raise


def _lines(first: str, headers: Mapping[str, str]) -> bytes:
    """Each with its end. The values were headers before, or come from the configuration, which looks at them."""
    lines = [f"{name}: {value}\r\n" for name, value in headers.items()]
    return "".join([f"{first}\r\n" if first else "", *lines]).encode("latin-1")
