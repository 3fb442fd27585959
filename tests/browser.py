"""A headless Chromium of one test's own, spoken to by its DevTools protocol."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shutil
import subprocess
import time
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import aiohttp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)
STARTS_S = 30.0
OPTIONS = ("--headless=new", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--hide-scrollbars")


class Page:
    """One tab. `complaints` is what its console and its loader had to say."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, session: str) -> None:
        self._socket = socket
        self._session = session
        self._numbers = count(1)
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self.complaints: list[str] = []

    async def do(self, method: str, **parameters: object) -> Any:  # noqa: ANN401 - as the protocol says
        """One command, and what came of it."""
        number = next(self._numbers)
        self._answers[number] = asyncio.get_running_loop().create_future()
        sent = {"id": number, "method": method, "params": parameters}
        await self._socket.send_json(sent | ({"sessionId": self._session} if self._session else {}))
        return await self._answers[number]

    async def js(self, expression: str) -> Any:  # noqa: ANN401 - any JSON value
        """What an expression gives, waited for."""
        got = await self.do("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in got:
            raise AssertionError(got["exceptionDetails"]["exception"].get("description"))
        return got["result"].get("value")

    async def until(self, condition: str, *, seconds: float = 20.0) -> None:
        """Waits until the page says so itself."""
        async with asyncio.timeout(seconds):
            while not await self.js(condition):
                await self.js("new Promise(requestAnimationFrame)")

    async def open(self, url: str, *, width: int = 1280, height: int = 900, dark: bool = False) -> None:
        phone = width < 600  # CSS pixels
        await self.do(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.do("Emulation.setEmulatedMedia", features=[scheme])
        await self.do("Page.navigate", url=url)

    async def picture(self) -> bytes:
        """All of the page, as PNG."""
        size = (await self.do("Page.getLayoutMetrics"))["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        shot = await self.do("Page.captureScreenshot", clip=clip, captureBeyondViewport=True)
        return base64.b64decode(shot["data"])

    async def key(self, name: str, code: int) -> None:
        """Presses a key."""
        pressed = {"key": name, "code": name, "windowsVirtualKeyCode": code}
        text = {"text": "\r"} if name == "Enter" else {}
        await self.do("Input.dispatchKeyEvent", type="keyDown", **pressed, **text)
        await self.do("Input.dispatchKeyEvent", type="keyUp", **pressed)

    async def listen(self) -> None:
        """Hands answers to who waits for them, until the browser ends."""
        async for message in self._socket:
            told = json.loads(message.data)
            if "id" in told:
                waiting = self._answers.pop(told["id"])
                if "error" in told:
                    waiting.set_exception(RuntimeError(told["error"]["message"]))
                else:
                    waiting.set_result(told["result"])
            else:
                self._heard(told["method"], told.get("params", {}))

    def _heard(self, method: str, told: dict[str, Any]) -> None:
        if method == "Runtime.exceptionThrown":
            self.complaints.append(told["exceptionDetails"]["exception"].get("description", "exception"))
        elif method == "Runtime.consoleAPICalled" and told["type"] in {"error", "warning"}:
            self.complaints.append(str(told["args"]))
        elif method == "Log.entryAdded" and told["entry"]["level"] in {"error", "warning"}:
            self.complaints.append(told["entry"]["text"])


@asynccontextmanager
async def chromium() -> AsyncIterator[Page]:
    """A fresh browser with one empty tab."""
    assert CHROMIUM is not None
    with TemporaryDirectory(prefix="paretogate-browser-", ignore_cleanup_errors=True) as folder:
        process, address = await asyncio.to_thread(_started, Path(folder))
        try:
            async with (
                aiohttp.ClientSession() as session,
                session.ws_connect(address) as socket,
                asyncio.TaskGroup() as group,
            ):
                yield await _attached(socket, group)
                await socket.close()
        finally:
            process.kill()
            process.wait()


def _started(folder: Path) -> tuple[subprocess.Popen[bytes], str]:
    """A browser that listens, and where: it says so in a file."""
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []  # root has none
    command = [
        str(CHROMIUM),
        *OPTIONS,
        *sandbox,
        "--remote-debugging-port=0",
        f"--user-data-dir={folder}",
        "about:blank",
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    told, deadline = folder / "DevToolsActivePort", time.monotonic() + STARTS_S
    while not told.is_file() or "\n" not in told.read_text():
        assert process.poll() is None, "Chromium ended before it listened"
        assert time.monotonic() < deadline, "Chromium did not listen in time"
        time.sleep(0.02)  # another process: it has no event for us
    port, path = told.read_text().splitlines()[:2]
    return process, f"ws://127.0.0.1:{port}{path}"


async def _attached(socket: aiohttp.ClientWebSocketResponse, group: asyncio.TaskGroup) -> Page:
    """The tab, with its console turned on."""
    page = Page(socket, "")
    group.create_task(page.listen())
    target = (await page.do("Target.createTarget", url="about:blank"))["targetId"]
    session = (await page.do("Target.attachToTarget", targetId=target, flatten=True))["sessionId"]
    page._session = session  # noqa: SLF001 - from here on it speaks to the tab
    for domain in ("Page", "Runtime", "Log"):
        await page.do(f"{domain}.enable")
    return page
