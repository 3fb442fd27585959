"""Boards and alerts read metrics that there are, and say what they show."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from gateway.metrics import Metrics
from tests.deploy.boards import ALERTS, BOARDS, DEPLOY, Expression, alert_expressions, board_expressions, panels

if TYPE_CHECKING:
    from pathlib import Path

RUNBOOK = DEPLOY / "runbook.md"
COLUMNS = 24  # of Grafana's grid


def series() -> set[str]:
    """Every name that can be queried, those of histograms included."""
    known = {"up"}
    for family in Metrics(["auto"], ["m"], ["e"]).registry.collect():
        if family.type == "histogram":
            known |= {f"{family.name}_{part}" for part in ("bucket", "sum", "count")}
        else:
            known.add(family.name + "_total" * (family.type == "counter"))
    return known


@pytest.mark.parametrize("expression", [*board_expressions(), *alert_expressions()], ids=str)
def test_an_expression_reads_metrics_that_there_are(expression: Expression) -> None:
    assert expression.metrics
    assert expression.metrics - series() == set()


def test_there_are_four_boards() -> None:
    assert [path.stem for path in BOARDS] == ["capacity", "cost-quality", "endpoint", "overhead"]


@pytest.mark.parametrize("path", BOARDS, ids=lambda path: path.stem)
def test_a_board_is_whole(path: Path) -> None:
    board: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    assert board["uid"] == f"paretogate-{path.stem}"
    drawn = list(panels(board))
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    variables = {variable["name"] for variable in board["templating"]["list"]}
    taken: set[tuple[int, int]] = set()
    for panel in drawn:
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert panel["targets"]
        assert panel["datasource"]["uid"] == "${datasource}"
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert place["x"] + place["w"] <= COLUMNS
        assert not cells & taken, f"{panel['title']} lies on another panel"
        taken |= cells
        for target in panel["targets"]:
            used = {word for word in ("route", "endpoint", "model") if f"${word}" in target["expr"]}
            assert used <= variables


def test_provisioning_leads_to_the_boards() -> None:
    provisioning = DEPLOY / "grafana" / "provisioning"
    [provider] = yaml.safe_load((provisioning / "dashboards" / "paretogate.yml").read_text())["providers"]
    compose = yaml.safe_load((DEPLOY.parent / "docker-compose.yml").read_text(encoding="utf-8"))
    mounted = dict(volume.split(":")[:2] for volume in compose["services"]["grafana"]["volumes"])
    assert mounted["./deploy/grafana/dashboards"] == provider["options"]["path"]
    assert mounted["./deploy/grafana/provisioning"] == "/etc/grafana/provisioning"
    [source] = yaml.safe_load((provisioning / "datasources" / "prometheus.yml").read_text())["datasources"]
    assert source["url"] == "http://prometheus:9090"
    assert "prometheus" in compose["services"]


def test_every_alert_has_its_section_in_the_runbook() -> None:
    [group] = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]
    headings = {
        line.removeprefix("## ") for line in RUNBOOK.read_text(encoding="utf-8").splitlines() if line[:3] == "## "
    }
    assert {rule["alert"] for rule in group["rules"]} == headings
    for rule in group["rules"]:
        assert rule["annotations"]["runbook"] == f"deploy/runbook.md#{rule['alert'].lower()}"


def test_every_alert_has_a_case_that_fires_and_one_that_does_not() -> None:
    [group] = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]
    tests = yaml.safe_load((ALERTS.parent / "alerts_test.yml").read_text(encoding="utf-8"))["tests"]
    cases: dict[str, set[bool]] = {}
    for test in tests:
        for case in test["alert_rule_test"]:
            cases.setdefault(case["alertname"], set()).add(bool(case["exp_alerts"]))
    assert cases == {rule["alert"]: {True, False} for rule in group["rules"]}


@pytest.mark.parametrize(
    "arguments", [("check", "config", "prometheus.yml"), ("test", "rules", "alerts_test.yml")], ids=" ".join
)
def test_promtool_agrees(arguments: tuple[str, ...]) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed; tests/servers.sh installs it")
    command = [promtool, *arguments]
    result = subprocess.run(command, cwd=ALERTS.parent, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
