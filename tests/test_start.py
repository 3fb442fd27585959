"""What a start does without: parts that take longer to load than all else, and that nobody needs to be ready."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Final

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
