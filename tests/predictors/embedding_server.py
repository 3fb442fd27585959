"""A small real server of `/v1/embeddings`, on a thread of its own."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WIDTH = 16


def embedding(model: str, text: str) -> list[float]:
    """Words that two texts share bring them together; each model has its own directions."""
    total = np.zeros(WIDTH)
    for word in [*text.lower().split(), "."]:
        seed = int.from_bytes(sha256(f"{model} {word}".encode()).digest()[:4], "little")
        total += np.random.default_rng(seed).standard_normal(WIDTH)
    return total.tolist()


def well(asked: dict[str, Any]) -> tuple[int, bytes]:
    rows = [
        {"object": "embedding", "index": index, "embedding": embedding(asked["model"], text)}
        for index, text in enumerate(asked["input"])
    ]
    return 200, json.dumps({"object": "list", "data": rows[::-1], "model": asked["model"]}).encode()


@dataclass
class EmbeddingServer:
    """What was asked, and what is answered."""

    url: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    answers: list[Callable[[dict[str, Any]], tuple[int, bytes]]] = field(default_factory=list)  # before `well`


@contextmanager
def embedding_server() -> Iterator[EmbeddingServer]:
    state = EmbeddingServer()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
            state.asked.append(asked | {"path": self.path})
            state.keys.append(self.headers.get("authorization", ""))
            status, body = (state.answers.pop(0) if state.answers else well)(asked)
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        state.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
        try:
            yield state
        finally:
            server.shutdown()
            thread.join()
