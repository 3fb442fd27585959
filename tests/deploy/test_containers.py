"""The Dockerfile, the compose file and the unit: no engine runs here, so what they name is checked one by one."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from gateway.cli import main

ROOT = Path(__file__).parents[2]
TOOLS = ROOT / ".venv-deploy" / "bin"
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
UNIT = (ROOT / "deploy" / "systemd" / "paretogate.service").read_text(encoding="utf-8")
OURS = [name for name, service in SERVICES.items() if service.get("image", "").startswith("paretogate:")]

needs_tools = pytest.mark.skipif(
    not (ROOT / ".venv-deploy" / ".ready").exists(),
    reason=".venv-deploy is not there; `make .venv-deploy/.ready` builds it, or says why it cannot",
)


def assert_it_is_a_command(words: list[str]) -> None:
    """Its name and every option are known."""
    name, *arguments = words
    command = main.get_command(click.Context(main), name)
    assert command is not None, name
    command.make_context(name, [re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", each) for each in arguments])


@needs_tools
def test_hadolint_finds_nothing() -> None:
    result = subprocess.run([TOOLS / "hadolint", ROOT / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (0, "")


@needs_tools
def test_compose_is_what_its_specification_says() -> None:
    program = "import sys, compose_spec; compose_spec.PyCompose.from_json(sys.stdin.read()).validate()"
    command: list[str | Path] = [TOOLS / "python", "-c", program]
    merged = json.dumps(COMPOSE)  # the checker knows no `<<`
    result = subprocess.run(command, input=merged, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_the_image_copies_what_there_is_and_ignores_the_rest() -> None:
    sources = [
        source for line in re.findall(r"^COPY (?!--)(.+) \S+$", DOCKERFILE, re.MULTILINE) for source in line.split()
    ]
    assert [source for source in sources if not (ROOT / source).exists()] == []
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert set(sources) == allowed


def test_the_image_runs_as_a_user_and_starts_a_command() -> None:
    assert re.search(r"^USER 10001:10001$", DOCKERFILE, re.MULTILINE)
    [command] = re.findall(r"^CMD \[(.+)\]$", DOCKERFILE, re.MULTILINE)
    assert_it_is_a_command([word.strip().strip('"') for word in command.split(",")])
    assert "/readyz" in DOCKERFILE


@pytest.mark.parametrize("name", OURS)
def test_our_services_start_commands_that_exist(name: str) -> None:
    assert_it_is_a_command([str(word) for word in SERVICES[name]["command"]])


def test_extras_that_are_built_in_are_there() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    named = re.findall(r"EXTRAS=([a-z,]+)", DOCKERFILE)
    assert "gpu" in named
    named += [str(SERVICES["predictor-gpu"]["build"]["args"]["EXTRAS"])]
    assert {extra for names in named for extra in names.split(",")} <= extras.keys()
    assert any("torch" in each for each in extras["gpu"])


def test_the_predictor_on_a_gpu_is_the_predictor() -> None:
    """Under the name by which gateways ask for it, and never both at once."""
    plain, gpu = SERVICES["predictor"], SERVICES["predictor-gpu"]
    assert gpu["command"] == plain["command"]
    assert gpu["networks"]["default"]["aliases"] == ["predictor"]
    assert (plain["profiles"], gpu["profiles"]) == (["predictor"], ["gpu"])
    [device] = gpu["deploy"]["resources"]["reservations"]["devices"]
    assert (device["driver"], device["capabilities"]) == ("nvidia", ["gpu"])


def test_budgets_outlive_redis() -> None:
    redis = SERVICES["redis"]
    words = [str(word) for word in redis["command"]]
    assert words[words.index("--appendonly") + 1] == "yes"
    assert f"redis:{words[words.index('--dir') + 1]}" in redis["volumes"]


def test_what_is_mounted_exists() -> None:
    volumes = [volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])]
    assert [path for path in volumes if path.startswith("./") and not (ROOT / path).exists()] == []
    named = {path for path in volumes if not path.startswith("./")}
    assert named == COMPOSE["volumes"].keys()


def test_configurations_of_compose_name_its_services() -> None:
    for name in ("compose.yaml", "local.yaml", "models.yaml", "predictor.yaml"):
        assert (ROOT / "config" / name).exists()
    for name in ("compose.yaml", "predictor.yaml"):
        text = (ROOT / "config" / name).read_text(encoding="utf-8")
        assert set(re.findall(r"http://([a-z-]+):\d+", text)) <= SERVICES.keys()
    assert SERVICES["gateway-1"] == SERVICES["gateway-2"]
    hosts = re.findall(r"//([a-z]+):", " ".join(map(str, SERVICES["gateway-1"]["environment"].values())))
    assert set(hosts) <= SERVICES.keys()


def test_prometheus_and_the_proxy_know_both_gateways() -> None:
    scraped = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text(encoding="utf-8"))
    [job] = scraped["scrape_configs"]
    proxied = re.findall(r"server (\S+:\d+) ", (ROOT / "deploy" / "nginx" / "nginx.conf").read_text(encoding="utf-8"))
    gateways = [f"{name}:8080" for name in SERVICES if name.startswith("gateway-")]
    assert job["static_configs"][0]["targets"] == proxied == gateways


def test_ports_are_published_on_this_machine_only() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


@pytest.mark.parametrize("name", [name for name, service in SERVICES.items() if "profiles" not in service])
def test_services_are_locked(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


def test_the_unit_starts_commands_that_exist() -> None:
    for line in re.findall(r"^ExecStart(?:Pre)?=\S+/paretogate (.+)$", UNIT, re.MULTILINE):
        assert_it_is_a_command(shlex.split(line))


def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not here; it comes with systemd")
    unit = tmp_path / "paretogate.service"
    unit.write_text(UNIT.replace("/opt/paretogate/bin/paretogate", "/bin/true"), encoding="utf-8")
    result = subprocess.run([analyze, "verify", unit], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
