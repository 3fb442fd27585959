"""The chart, rendered by Helm's engine and judged by Kubernetes' own schemas."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.settings import parse

ROOT = Path(__file__).parents[2]
CHART = ROOT / "deploy" / "helm" / "paretogate"
PYTHON = ROOT / ".venv-deploy" / "bin" / "python"
CONFIG = (ROOT / "config" / "gateway.yaml").read_text(encoding="utf-8")
EVERYTHING: dict[str, Any] = {
    "config": CONFIG,
    "environment": [{"name": "OPENAI_API_KEY", "secret": "openai", "key": "api-key"}],
    "ingress": {"enabled": True, "host": "models.example", "tlsSecret": "tls", "className": "nginx"},
    "serviceMonitor": {
        "enabled": True,
        "labels": {"release": "prometheus"},
        "token": {"secret": "ops", "key": "token"},
    },
    "networkPolicy": {"from": {"app": "shop"}},
    "autoscaling": {"waitingQueries": 5, "waitingSeconds": 0.5},
    "redis": {"persistence": {"enabled": True, "storageClass": "fast"}},
    "imagePullSecrets": [{"name": "registry"}],
    "nodeSelector": {"disk": "fast"},
    "tolerations": [{"operator": "Exists"}],
}

pytestmark = pytest.mark.skipif(
    not (ROOT / ".venv-deploy" / ".ready").exists(),
    reason=".venv-deploy is not there; `make .venv-deploy/.ready` builds it, or says why it cannot",
)


def answered(values: dict[str, Any], version: str = "1.31") -> dict[str, Any]:
    command: list[str | Path] = [PYTHON, Path(__file__).with_name("render.py"), CHART, version]
    result = subprocess.run(command, input=json.dumps(values), capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    answer: dict[str, Any] = json.loads(result.stdout)
    return answer


def objects(values: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    """By kind and name."""
    answer = answered(values)
    assert answer.get("lint") == [], answer
    return {(each["kind"], each["metadata"]["name"]): each for each in answer["objects"]}


@pytest.mark.parametrize("values", [{"config": CONFIG}, EVERYTHING], ids=["plain", "everything"])
@pytest.mark.parametrize("version", ["1.27", "1.31", "1.34"])
def test_every_object_is_one_that_kubernetes_takes(values: dict[str, Any], version: str) -> None:
    assert "error" not in answered(values, version)


def test_everything_is_there() -> None:
    kinds = {kind for kind, _ in objects(EVERYTHING)}
    assert kinds == {
        "ConfigMap",
        "Deployment",
        "HorizontalPodAutoscaler",
        "Ingress",
        "NetworkPolicy",
        "PersistentVolumeClaim",
        "PodDisruptionBudget",
        "Service",
        "ServiceMonitor",
    }


def test_pods_are_added_by_what_waits() -> None:
    by_cpu, *others = objects(EVERYTHING)["HorizontalPodAutoscaler", "demo-paretogate"]["spec"]["metrics"]
    assert by_cpu["resource"]["name"] == "cpu"
    assert {each["pods"]["metric"]["name"]: each["pods"]["target"]["averageValue"] for each in others} == {
        "paretogate_waiting_queries": "5",
        "paretogate_oldest_waiting_seconds": "0.5",
    }
    [alone] = objects({"config": CONFIG})["HorizontalPodAutoscaler", "demo-paretogate"]["spec"]["metrics"]
    assert alone == by_cpu


@pytest.mark.parametrize("kept", [False, True])
def test_what_keys_have_spent_may_outlive_redis(*, kept: bool) -> None:
    rendered = objects({"config": CONFIG, "redis": {"persistence": {"enabled": kept}}})
    pod = rendered["Deployment", "demo-paretogate-redis"]["spec"]["template"]["spec"]
    [container], [volume] = pod["containers"], pod["volumes"]
    arguments = container["args"]
    assert arguments[arguments.index("--appendonly") + 1] == ("yes" if kept else "no")
    assert container["volumeMounts"] == [{"name": volume["name"], "mountPath": "/data"}]
    assert ("persistentVolumeClaim" in volume) is kept
    assert (("PersistentVolumeClaim", "demo-paretogate-redis") in rendered) is kept


def test_pods_are_locked_and_probed() -> None:
    pod = objects(EVERYTHING)["Deployment", "demo-paretogate"]["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert not pod["automountServiceAccountToken"]
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert container["livenessProbe"]["httpGet"]["path"] == "/livez"
    assert pod["terminationGracePeriodSeconds"] > 10


def test_secrets_are_named_never_held() -> None:
    rendered = objects(EVERYTHING)
    [container] = rendered["Deployment", "demo-paretogate"]["spec"]["template"]["spec"]["containers"]
    [key] = [each for each in container["env"] if each["name"] == "OPENAI_API_KEY"]
    assert key["valueFrom"]["secretKeyRef"] == {"name": "openai", "key": "api-key"}
    assert not [kind for kind, _ in rendered if kind == "Secret"]


def test_prometheus_may_have_a_key() -> None:
    [endpoint] = objects(EVERYTHING)["ServiceMonitor", "demo-paretogate"]["spec"]["endpoints"]
    assert endpoint["authorization"] == {"credentials": {"name": "ops", "key": "token"}}


@pytest.mark.parametrize("insecure", [False, True])
def test_a_pod_without_keys_starts_only_when_that_is_meant(*, insecure: bool) -> None:
    pod = objects({"config": CONFIG, "insecure": insecure})["Deployment", "demo-paretogate"]["spec"]["template"]["spec"]
    assert ("--insecure" in pod["containers"][0]["args"]) is insecure


def test_the_configuration_arrives_as_it_was_and_another_makes_other_pods() -> None:
    rendered = objects({"config": CONFIG})
    text = rendered["ConfigMap", "demo-paretogate"]["data"]["gateway.yaml"]
    assert parse(text, {}) == parse(CONFIG, {})
    other = objects({"config": CONFIG + "# another\n"})
    annotations = [
        each["Deployment", "demo-paretogate"]["spec"]["template"]["metadata"]["annotations"]
        for each in (rendered, other)
    ]
    assert annotations[0] != annotations[1]


def test_the_network_lets_in_whom_it_names_and_prometheus() -> None:
    [rule] = objects(EVERYTHING)["NetworkPolicy", "demo-paretogate"]["spec"]["ingress"]
    assert {"podSelector": {"matchLabels": {"app": "shop"}}} in rule["from"]
    assert {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}} in rule["from"]


def test_metrics_and_decisions_are_not_on_the_ingress() -> None:
    [rule] = objects(EVERYTHING)["Ingress", "demo-paretogate"]["spec"]["rules"]
    paths = {path["path"] for path in rule["http"]["paths"]}
    assert "/v1/chat/completions" in paths
    assert not [path for path in paths if "metrics" in path or "decisions" in path or path in {"/", "/v1"}]


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({}, "config: the gateway's configuration"),
        ({"config": "x", "replica": 3}, "replica"),
        ({"config": "x", "environment": [{"name": "KEY", "value": "sk-1"}]}, "environment"),
        ({"config": "x", "ingress": {"enabled": True}}, "ingress.host"),
    ],
)
def test_wrong_values_are_refused_by_name(values: dict[str, Any], complaint: str) -> None:
    assert complaint in answered(values)["error"]


def test_the_schema_names_every_value() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    assert schema["properties"].keys() - {"global"} == values.keys()
    for name, inner in values.items():
        known = schema["properties"][name].get("properties")
        if isinstance(inner, dict) and known is not None:
            assert inner.keys() == known.keys(), name
