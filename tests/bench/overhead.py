"""What the gateway adds to a call: requests a second and CPU of direct, bare pass-through, pinned and auto.

`make bench-overhead ARGS="--seconds 5 --repeats 3 --json out.json"`. Needs nginx and wrk. Rounds are interleaved and
medians are told; the machine may be shared, so ratios within one run count, not figures across runs.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import median

import httpx

ANSWER = (
    '{"id":"c1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant",'
    '"content":"Paris."},"finish_reason":"stop"}],"usage":{"prompt_tokens":12,"completion_tokens":2,"total_tokens":14}}'
)
MODELS = 14
SCRIPT = """
local at = 0
wrk.method = "POST"
wrk.headers["content-type"] = "application/json"
request = function()
  at = at + 1
  local said = "Question " .. at .. ": which number follows " .. (at * 7919 % 104729) .. " in the list of primes?"
  return wrk.format(nil, nil, nil, '{"model":"MODEL","messages":[{"role":"user","content":"' .. said .. '"}]}')
end
local wrong = 0
response = function(status, headers, body)
  if status ~= 200 or not body:find("Paris.", 1, true) then wrong = wrong + 1; print("WRONG " .. status) end
end
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def until_open(port: int) -> float:
    """Seconds until somebody listens there."""
    began = time.monotonic()
    while time.monotonic() < began + 60:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return time.monotonic() - began
        time.sleep(0.02)
    raise TimeoutError(f"nobody listens on {port}")


def start(stack: ExitStack, port: int, *command: str, **env: str) -> int:
    """Runs a server until the stack closes; its process id."""
    process = subprocess.Popen(command, env={**os.environ, **env}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    stack.callback(process.wait)
    stack.callback(process.send_signal, signal.SIGTERM)
    until_open(port)
    return process.pid


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def nginx(stack: ExitStack, folder: Path, port: int) -> None:
    conf = folder / "nginx.conf"
    conf.write_text(
        f"daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log /dev/null;\n"
        "events { worker_connections 1024; }\n"
        f"http {{ access_log off; keepalive_requests 1000000; default_type application/json;\n"
        f"server {{ listen 127.0.0.1:{port} backlog=1024; location / {{ return 200 '{ANSWER}'; }} }} }}\n",
        encoding="utf-8",
    )
    start(stack, port, "nginx", "-c", str(conf))


def configuration(upstream: str) -> str:
    """JSON is YAML."""
    names = [f"m{number}" for number in range(MODELS)]
    return json.dumps(
        {
            "version": 1,
            "models": [
                {"name": name, "price": {"input": 0.1 * n + 0.1, "output": n + 1}, "prior": {"quality": 0.4 + 0.03 * n}}
                for n, name in enumerate(names)
            ],
            "endpoints": [
                {"name": name, "model": name, "url": upstream, "capacity": {"concurrency": 1000}} for name in names
            ],
            "routes": [{"name": "auto", "objective": {"min_quality": 0.6}}],
            "predictor": {"artifact": "starter"},
        }
    )


def wrk(url: str, script: Path, connections: int, seconds: int) -> tuple[float, float, int]:
    """Requests a second, median milliseconds, requests. Every body is checked."""
    said = subprocess.run(
        ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", str(script), url],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    if "WRONG" in said or "Socket errors" in said:
        raise RuntimeError(f"{url} answered wrongly:\n{said[-500:]}")
    rate = re.search(r"Requests/sec: +([\d.]+)", said)
    half = re.search(r"50% +([\d.]+)(us|ms|s)", said)
    count = re.search(r"(\d+) requests in", said)
    if rate is None or half is None or count is None:
        raise RuntimeError(said)
    return float(rate[1]), float(half[1]) * {"us": 1e-3, "ms": 1.0, "s": 1e3}[half[2]], int(count[1])


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=int, default=5)
    options.add_argument("--repeats", type=int, default=3)
    options.add_argument("--connections", type=int, nargs="+", default=[1, 16, 64])
    options.add_argument("--json", type=Path)
    asked = options.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        up, bare, ours = (free_port() for _ in range(3))
        nginx(stack, folder, up)
        path = "/v1/chat/completions"
        app = ("-m", "uvicorn", "--app-dir", str(Path(__file__).parent), "--no-access-log", "--log-level", "critical")
        passer = start(
            stack, bare, sys.executable, *app, "--port", str(bare), "bare:app", UPSTREAM=f"http://127.0.0.1:{up}{path}"
        )
        config = folder / "gateway.yaml"
        config.write_text(configuration(f"http://127.0.0.1:{up}/v1"), encoding="utf-8")
        program = str(Path(sys.executable).with_name("paretogate"))
        gateway = start(stack, ours, program, "serve", "--config", str(config), "--port", str(ours))
        httpx.get(f"http://127.0.0.1:{ours}/readyz").raise_for_status()
        rows = {"direct": (up, 0, "m0"), "bare": (bare, passer, "m0"), "pinned": (ours, gateway, "m0"),
                "auto": (ours, gateway, "auto")}  # fmt: skip
        results = []
        for connections in asked.connections:
            taken: dict[str, list[tuple[float, float, float]]] = {name: [] for name in rows}
            for _ in range(asked.repeats):
                for name, (port, pid, model) in rows.items():
                    script = folder / f"{model}.lua"
                    script.write_text(SCRIPT.replace("MODEL", model), encoding="utf-8")
                    before = cpu_s(pid) if pid else 0.0
                    rate, half, count = wrk(f"http://127.0.0.1:{port}{path}", script, connections, asked.seconds)
                    spent = (cpu_s(pid) - before) / count * 1e6 if pid else 0.0
                    taken[name].append((rate, half, spent))
            for name, rounds in taken.items():
                rate, half, spent = (median(column) for column in zip(*rounds, strict=True))
                results.append({"row": name, "connections": connections, "rate": rate, "p50_ms": half, "cpu_us": spent})
                print(f"{connections:3} {name:7} {rate:8.0f} requests/s  p50 {half:7.2f} ms  {spent:6.0f} µs CPU")
        if asked.json:
            asked.json.write_text(json.dumps(results, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
