"""What a plain HTTP client does: ask, and keep everything that came back."""

from __future__ import annotations

import json
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import aiohttp
    from multidict import CIMultiDictProxy

HELLO = [{"role": "user", "content": "hello"}]


@dataclass(frozen=True)
class Got:
    """One answer, read to its end."""

    status: int
    headers: CIMultiDictProxy[str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        read: dict[str, Any] = json.loads(self.body)
        return read

    @property
    def error(self) -> dict[str, Any]:
        """What an OpenAI client reads of an error, having checked its shape."""
        told: dict[str, Any] = self.json["error"]
        assert list(self.json) == ["error"]
        assert {"message", "type", "param", "code"} == set(told)
        assert isinstance(told["message"], str)
        assert isinstance(told["type"], str)
        assert all(told[name] is None or isinstance(told[name], str) for name in ("param", "code"))
        return told

    @property
    def events(self) -> list[Any]:
        """The data of each event; the end marker as it stands."""
        datas = [line.removeprefix("data: ") for line in self.body.decode().split("\n") if line.startswith("data:")]
        return [data if data == "[DONE]" else json.loads(data) for data in datas]


def chat(model: str = "auto", **more: object) -> dict[str, object]:
    """A request body."""
    return {"model": model, "messages": HELLO, **more}


async def ask(
    session: aiohttp.ClientSession,
    url: str,
    body: object = None,
    *,
    path: str = "/v1/chat/completions",
    headers: dict[str, str] | None = None,
) -> Got:
    """Posts a body: bytes as they are, anything else as JSON; a plain chat when there is none."""
    content = body if isinstance(body, bytes) else json.dumps(chat() if body is None else body).encode()
    sent = {"content-type": "application/json", **(headers or {})}
    async with session.post(url + path, data=BytesIO(content), headers=sent) as answer:
        return Got(answer.status, answer.headers, await answer.read())
