"""What a start does without: parts that take longer to load than all else, and that nobody needs to be ready."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from pathlib import Path

LATER: Final = ("fastapi", "httpx", "ortools", "scipy", "sqlalchemy", "redis", "torch", "opentelemetry")
MADE: Final = """
import json, os, sys
from pathlib import Path
import gateway.server
from gateway.app import application
from gateway.settings import read
application(read(Path(sys.argv[1]), os.environ))
print(json.dumps([name for name in sys.argv[2].split(",") if name in sys.modules]))
"""
THREADS_AT_NUMPY: Final = """
import os, sys

class Seen:
    def find_spec(self, name, path=None, target=None):
        if name == "numpy":
            print("threads", os.environ.get("OMP_NUM_THREADS"), flush=True)

sys.meta_path.insert(0, Seen())
from gateway.cli import main
main()
"""
CONFIGURATION: Final = {
    "version": 1,
    "models": [{"name": "m", "price": {"input": 1, "output": 2}, "prior": {"quality": 0.5}}],
    "endpoints": [{"name": "m", "model": "m", "url": "http://127.0.0.1:9/v1"}],
    "predictor": {"artifact": "starter"},
}


def test_what_a_start_does_not_load(tmp_path: Path) -> None:
    """With the bundled artifact, and a log in SQLite as it is by default."""
    config = tmp_path / "gateway.yaml"
    config.write_text(json.dumps(CONFIGURATION), encoding="utf-8")
    command = [sys.executable, "-c", MADE, str(config), ",".join(LATER)]
    said = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path).stdout
    assert json.loads(said) == []


@pytest.mark.parametrize("operators_own", [None, "3"])
@pytest.mark.parametrize("command", ["serve", "predictor"])
def test_whoever_serves_has_one_thread_for_matrices(command: str, operators_own: str | None, tmp_path: Path) -> None:
    """Set before NumPy looks. The artifact is missing, so that both end."""
    missing = str(tmp_path / "missing")
    config = tmp_path / "gateway.yaml"
    config.write_text(json.dumps({**CONFIGURATION, "predictor": {"artifact": missing}}), encoding="utf-8")
    told = {"serve": ["--config", str(config), "--port", "0"], "predictor": ["--artifact", missing]}[command]
    env = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    if operators_own:
        env["OMP_NUM_THREADS"] = operators_own
    run = [sys.executable, "-c", THREADS_AT_NUMPY, command, *told]
    ended = subprocess.run(run, capture_output=True, text=True, check=False, cwd=tmp_path, env=env)
    assert ended.returncode == 1
    assert missing in ended.stderr
    assert ended.stdout == f"threads {operators_own or 1}\n"
