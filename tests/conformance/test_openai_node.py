"""The OpenAI Node SDK, installed by npm into a temporary folder."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.upstream_app import Upstream, completion, plain_stream, whole

SOURCE = Path(__file__).parent / "node"

pytestmark = pytest.mark.skipif(shutil.which("npm") is None, reason="node and npm are not installed here")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("node")
    shutil.copytree(SOURCE, folder, dirs_exist_ok=True)
    subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--silent"], cwd=folder, check=True, timeout=120)
    return folder / "ask.mjs"


async def test_whole_streamed_and_wrong(url: str, upstream: Upstream, program: Path) -> None:
    upstream.then(whole(completion()), plain_stream())
    process = await asyncio.create_subprocess_exec("node", str(program), url, stdout=asyncio.subprocess.PIPE)
    said, _ = await process.communicate()
    assert json.loads(said) == {
        "whole": "hello",
        "model": "cheap",
        "text": "hello you",
        "error": [True, "model_not_found"],
    }
