"""Renders the chart with Helm's own engine and judges every object by Kubernetes' schemas.

Run in the environment `.venv-deploy`: `python render.py CHART VERSION`, values as JSON on stdin. Prints a JSON object:
the rendered objects, or the error.
"""

from __future__ import annotations

import json
import sys

import helm_python
import kubernetes_validate
import yaml

CUSTOM = {"ServiceMonitor"}  # of the Prometheus operator: Kubernetes has no schema for it


def main(chart: str, version: str) -> None:
    values = json.load(sys.stdin)
    try:
        found = helm_python.lint(chart, values, strict=True)
        with helm_python.Chart.load(chart) as loaded:
            files = loaded.render(values, name="demo", namespace="prod")
    except helm_python.HelmError as error:
        json.dump({"error": str(error)}, sys.stdout)
        return
    objects = [
        each
        for name, text in files.items()
        if name.endswith(".yaml")
        for each in yaml.safe_load_all(text)
        if each is not None
    ]
    for each in objects:
        if each["kind"] not in CUSTOM:
            kubernetes_validate.validate(each, version, strict=True)
    json.dump({"objects": objects, "lint": found["errors"]}, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
