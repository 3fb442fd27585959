"""The import contracts of pyproject.toml hold, and one that is broken is noticed."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LINT_IMPORTS = Path(sys.executable).with_name("lint-imports")


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    command: list[str | Path] = [LINT_IMPORTS, "--config", folder / "pyproject.toml", "--no-cache"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_imports_go_one_way() -> None:
    result = lint(ROOT)
    assert result.returncode == 0, result.stdout


def test_every_room_stands_in_the_table_of_the_architecture() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    [layers] = [contract["layers"] for contract in contracts if contract["type"] == "layers"]
    rooms = {room for layer in layers for room in layer.split(" | ")} - {"__main__"}
    table = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    first_cells = re.findall(r"(?m)^\| ((?:`\w+`(?: \\\| |, )?)+) \|", table)
    assert {name for cell in first_cells for name in re.findall(r"`(\w+)`", cell)} - {"predictors"} == rooms


@pytest.mark.parametrize(
    ("file", "line", "complaint"),
    [
        ("gateway/core/window.py", "import asyncio", "gateway.core is not allowed to import asyncio"),
        (
            "gateway/upstream/session.py",
            "from gateway import batcher",
            "gateway.upstream is not allowed to import gateway.batcher",
        ),
        ("gateway/batcher/line.py", "from predictors import hybrid", "gateway.batcher.line -> predictors.hybrid"),
        ("gateway/pipeline.py", "import fastapi", "gateway.pipeline is not allowed to import fastapi"),
        ("gateway/utils.py", "", "gateway.utils"),
        ("predictors/names.py", "from gateway import domain", "predictors is not allowed to import gateway"),
    ],
)
def test_a_planted_violation_is_reported(tmp_path: Path, file: str, line: str, complaint: str) -> None:
    (tmp_path / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text(encoding="utf-8"), encoding="utf-8")
    for package in ("gateway", "predictors"):
        for source in (ROOT / package).rglob("*.py"):
            target = tmp_path / source.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())
    planted = tmp_path / file
    text = planted.read_text(encoding="utf-8") if planted.exists() else '"""Planted."""\n'
    planted.write_text(f"{text}\n{line}\n", encoding="utf-8")
    result = lint(tmp_path)
    assert result.returncode == 1
    assert complaint in result.stdout
