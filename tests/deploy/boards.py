"""The PromQL of boards and alerts."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

DEPLOY = Path(__file__).parents[2] / "deploy"
BOARDS = sorted((DEPLOY / "grafana" / "dashboards").glob("*.json"))
ALERTS = DEPLOY / "prometheus" / "alerts.yml"


@dataclass(frozen=True)
class Expression:
    """One query of a panel, or an alert's condition."""

    place: str
    text: str

    def __str__(self) -> str:
        return self.place

    def filled(self, rate_s: int, range_s: int) -> str:
        """As a browser would send it, with everything selected."""
        text = self.text.replace("$__rate_interval", f"{rate_s}s").replace("$__range", f"{range_s}s")
        return re.sub(r"\$\w+", ".+", text)

    @property
    def metrics(self) -> set[str]:
        """Names of the series that it reads."""
        labels_gone = re.sub(r"\{[^}]*\}", "{}", self.text)
        labels_gone = re.sub(r"\b(?:by|on|without|ignoring)\s*\([^)]*\)", " ", labels_gone)
        return set(re.findall(r"\b(?:paretogate|gen_ai|process)_[a-z0-9_]+|\bup\b", labels_gone))


def panels(board: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for panel in board["panels"]:
        if panel["type"] != "row":
            yield panel


def board_expressions() -> list[Expression]:
    found = []
    for path in BOARDS:
        for panel in panels(json.loads(path.read_text(encoding="utf-8"))):
            for target in panel["targets"]:
                place = f"{path.stem} / {panel['title']} / {target['refId']}"
                found.append(Expression(place, target["expr"]))
    return found


def alert_expressions() -> list[Expression]:
    [group] = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]
    return [Expression(f"alert {rule['alert']}", rule["expr"]) for rule in group["rules"]]
