"""How long training, loading and predicting take, each in a process of its own on one core or two.

The verdict is on wall time; the CPU time beside it tells a slow program from a busy machine.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from tests.bench.quality_rows import Row

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MB = 1024  # ru_maxrss is in kilobytes on Linux
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
TRAIN = """
import json, resource, sys
from pathlib import Path
from time import perf_counter, process_time
from predictors.artifact import save
from predictors.pool import read_pool
from predictors.training import train
began = perf_counter()
save(train([read_pool(Path(sys.argv[1]))]), Path(sys.argv[2]))
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"seconds": perf_counter() - began, "cpu": process_time(), "kb": peak}))
"""
LOAD = """
import json, sys
from pathlib import Path
from time import perf_counter, process_time
began = perf_counter()
from predictors.registry import load_predictor
load_predictor(Path(sys.argv[2]))
print(json.dumps({"seconds": perf_counter() - began, "cpu": process_time(), "torch": "torch" in sys.modules}))
"""
PREDICT = """
import json, sys
from dataclasses import asdict
from pathlib import Path
from time import process_time
from gateway.lab.evaluate_latency import latency
from predictors.pool import read_queries
from predictors.registry import load_predictor
prompts, predictor = read_queries(Path(sys.argv[1])).prompts, load_predictor(Path(sys.argv[2]))
found = zip(latency(predictor, prompts), latency(predictor, prompts, process_time))
print(json.dumps([asdict(wall) | {"cpu": cpu.median} for wall, cpu in found]))
"""
LIMITS_MS = {1: 1.5, 16: 5.0, 64: 20.0}


def speed_rows(pool: Path, *, tell: Callable[[str], None]) -> list[Row]:
    """On a pool of 19 models. Times of a shared machine: the process is pinned, its neighbours are not."""
    rows = []
    with TemporaryDirectory() as folder:
        tell("training on two cores")
        trained = _run(TRAIN, pool, folder, cores=2)
        tell("loading")
        loaded = [_run(LOAD, pool, folder, cores=1) for _ in range(3)]
        tell("predicting on one core")
        predicted = _run(PREDICT, pool, folder, cores=1)
    seconds, gb = trained["seconds"], trained["kb"] / MB / 1000
    quickest = min(each["seconds"] for each in loaded)
    rows += [
        _row("train, seconds", seconds, "<= 180", passed=seconds <= 180),
        _row("train, CPU seconds", trained["cpu"]),
        _row("train, GB", gb, "< 3", passed=gb < 3),
        _row("load with imports, seconds", quickest, "<= 1", passed=quickest <= 1),
        _row("load with imports, CPU seconds", min(each["cpu"] for each in loaded)),
        _row("load imports torch", float(loaded[0]["torch"]), "0", passed=not loaded[0]["torch"]),
    ]
    for each in predicted:
        limit = LIMITS_MS[each["queries"]]
        size, median = each["queries"], each["median"]
        rows += [
            _row(f"predict {size}, median ms", median, f"<= {limit:g}", passed=median <= limit),
            _row(f"predict {size}, median CPU ms", each["cpu"]),
        ]
    return rows


def _run(program: str, pool: Path, folder: str, *, cores: int) -> Any:  # noqa: ANN401 - what the program printed
    allowed = sorted(os.sched_getaffinity(0))[:cores]
    run = subprocess.run(
        [sys.executable, "-c", program, str(pool), folder],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | dict.fromkeys(THREADS, str(len(allowed))),
        preexec_fn=lambda: os.sched_setaffinity(0, allowed),
    )
    return json.loads(run.stdout)


def _row(what: str, value: float, target: str = "reported", *, passed: bool | None = None) -> Row:
    return Row(what, "reason19", value, float("nan"), float("nan"), target, passed)
