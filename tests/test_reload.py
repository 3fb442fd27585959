"""Real processes are told that their configuration has changed: by SIGHUP, or by the file itself."""

from __future__ import annotations

import re
import time
from signal import SIGHUP
from typing import TYPE_CHECKING

import httpx
import pytest

from gateway.reload import stamp
from tests.running import PARETOGATE, Program, running

if TYPE_CHECKING:
    from pathlib import Path

    from tests.redis_server import RedisServer

CONFIG = """
version: 1
models: [{{name: {name}, price: {{input: 1, output: 1}}}}]
endpoints: [{{name: one, model: {name}, url: "http://127.0.0.1:1"}}]
load: {{redis: "{redis}"}}
"""
PATIENCE_S = 60.0


PLAIN = httpx.Client(trust_env=False, verify=False, timeout=PATIENCE_S)  # noqa: S501 - loopback alone


def models(program: Program) -> str:
    """What is served; nothing while nobody listens yet."""
    try:
        return PLAIN.get(f"{program.url}/v1/models", headers={"connection": "close"}).text
    except httpx.ConnectError:
        return ""


def until_served(program: Program, name: str, times: int = 1) -> None:
    """Returns once so many answers in a row know the model."""
    ends_at, seen = time.monotonic() + PATIENCE_S, 0
    while seen < times:
        assert time.monotonic() < ends_at, program.text
        seen = seen + 1 if f'"{name}"' in models(program) else 0


def until_said(program: Program, words: str, times: int = 1) -> None:
    ends_at = time.monotonic() + PATIENCE_S
    while program.text.count(words) < times:
        assert time.monotonic() < ends_at, program.text
        models(program)


def test_by_file_and_by_signal(tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text(CONFIG.format(name="before", redis=""), encoding="utf-8")
    with running([PARETOGATE, "serve", "--config", path, "--port", "0"]) as program:
        until_served(program, "before")
        path.write_text(CONFIG.format(name="after", redis=""), encoding="utf-8")
        until_served(program, "after")
        path.write_text("version: 1\nmodel: []\n", encoding="utf-8")
        until_said(program, "the configuration stays as it was: ")
        assert re.search(r"gateway\.yaml: model: unknown key; did you mean models\?", program.text)
        until_served(program, "after")
        program.process.send_signal(SIGHUP)
        until_said(program, "the configuration stays as it was: ", times=2)
        assert program.process.poll() is None


def test_every_worker_hears_it(tmp_path: Path, redis_url: str, shared_redis: RedisServer) -> None:
    assert shared_redis.url == redis_url
    path = tmp_path / "gateway.yaml"
    path.write_text(CONFIG.format(name="before", redis=redis_url), encoding="utf-8")
    with running([PARETOGATE, "serve", "--config", path, "--port", "0", "--workers", "2"]) as program:
        until_said(program, "Application startup complete", times=2)
        path.write_text(CONFIG.format(name="after", redis=redis_url), encoding="utf-8")
        program.process.send_signal(SIGHUP)
        until_said(program, "a new configuration is served: ", times=2)
        until_served(program, "after", times=20)  # whichever worker answers


@pytest.mark.parametrize("how", ["written", "replaced", "linked"])
def test_a_file_that_is_another_is_noticed(tmp_path: Path, how: str) -> None:
    path, other = tmp_path / "a", tmp_path / "b"
    path.write_text("one", encoding="utf-8")
    other.write_text("two", encoding="utf-8")
    before = stamp(path)
    if how == "written":
        path.write_text("other", encoding="utf-8")
    elif how == "replaced":
        other.replace(path)
    else:
        path.unlink()
        path.symlink_to(other)
    assert stamp(path) != before
    path.unlink()
    assert stamp(path) is None
