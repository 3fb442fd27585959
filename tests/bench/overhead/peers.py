"""Other gateways, each in an environment of its own that is built here on its first run."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.bench.overhead.servers import free_port, start

if TYPE_CHECKING:
    from contextlib import ExitStack
    from pathlib import Path


@dataclass
class Target:
    """Whom to ask, and how."""

    url: str
    pid: int = 0  # 0: nobody's CPU is counted
    model: str = "m0"
    headers: dict[str, str] = field(default_factory=dict)
    version: str = ""
    flags: str = ""
    asked: int = 0  # prompts of the file, in the rounds so far


def python_with(folder: Path, package: str) -> Path:
    """The `bin` of a virtual environment that has this package."""
    if not (folder / "ready").exists():
        print(f"installing {package} into {folder}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([folder / "bin" / "pip", "install", "--quiet", package], check=True)
        (folder / "ready").touch()
    return folder / "bin"


def version_of(bin_: Path, package: str) -> str:
    told = subprocess.run([bin_ / "pip", "show", package], capture_output=True, text=True, check=True).stdout
    return next(line.split()[1] for line in told.splitlines() if line.startswith("Version"))


def litellm(stack: ExitStack, folder: Path, upstream: str) -> Target:
    """Its proxy, in production mode; it refuses to start without a key that is hard to guess."""
    bin_, port, key = python_with(folder / "litellm", "litellm[proxy]"), free_port(), f"sk-{secrets.token_hex(24)}"
    params = {"model": "openai/m0", "api_base": upstream, "api_key": "none"}
    config = folder / "litellm.yaml"
    config.write_text(json.dumps({"model_list": [{"model_name": "m0", "litellm_params": params}]}), encoding="utf-8")
    flags = ("--num_workers", "1", "--telemetry", "False")
    env = {"LITELLM_MASTER_KEY": key, "LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_MODE": "PRODUCTION"}
    pid = start(
        *(stack, port, bin_ / "litellm", "--config", config, "--host", "127.0.0.1", "--port", str(port), *flags),
        log=folder / "litellm.log",
        env=env,
    )
    headers = {"authorization": f"Bearer {key}"}
    told = " ".join([*flags, "LITELLM_MODE=PRODUCTION", "LITELLM_LOCAL_MODEL_COST_MAP=True"])
    return Target(f"http://127.0.0.1:{port}", pid, "m0", headers, version_of(bin_, "litellm"), told)


def portkey(stack: ExitStack, folder: Path, upstream: str) -> Target:
    """Its gateway, told by each request where to send it."""
    home, port = folder / "portkey", free_port()
    package = home / "node_modules" / "@portkey-ai" / "gateway"
    if not package.exists():
        print(f"installing @portkey-ai/gateway into {home}", flush=True)
        subprocess.run(["npm", "install", "--silent", "--prefix", home, "@portkey-ai/gateway"], check=True)
    env = {"NODE_ENV": "production", "TRUSTED_CUSTOM_HOSTS": "127.0.0.1,localhost"}
    server = package / "build" / "start-server.js"
    pid = start(stack, port, "node", server, f"--port={port}", "--headless", log=folder / "portkey.log", env=env)
    headers = {"x-portkey-provider": "openai", "x-portkey-custom-host": upstream, "authorization": "Bearer none"}
    version = json.loads((package / "package.json").read_text(encoding="utf-8"))["version"]
    return Target(f"http://127.0.0.1:{port}", pid, "m0", headers, version, "--headless NODE_ENV=production")


def vllm_router(stack: ExitStack, folder: Path, upstream: str) -> Target:
    """Rust; sends to one worker. Its breaker counts clients that leave, as wrk does at the end of a round."""
    bin_, port = python_with(folder / "vllm-router", "vllm-router"), free_port()
    flags = ("--policy", "round_robin", "--log-level", "error", "--disable-circuit-breaker")
    command = (bin_ / "vllm-router", "--host", "127.0.0.1", "--port", str(port), "--worker-urls")
    pid = start(
        *(stack, port, *command, upstream.removesuffix("/v1"), *flags, "--prometheus-port", str(free_port())),
        log=folder / "vllm-router.log",
    )
    return Target(
        f"http://127.0.0.1:{port}", pid, "m0", {}, version_of(bin_, "vllm-router"), " ".join(("one worker", *flags))
    )


PEERS = {"vllm-router": vllm_router, "portkey": portkey, "litellm": litellm}
