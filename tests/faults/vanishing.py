"""A client whose machine is gone without a word: no FIN, no RST, no acknowledgement ever again.

    unshare --map-root-user --net python -m tests.faults.vanishing begun
    unshare --map-root-user --net python -m tests.faults.vanishing waiting

The first vanishes in mid-stream, the second before its first byte, from an upstream that says nothing either.
Everything runs in a network of its own, where the client has an address that is then taken away. Prints, as JSON, how
long its slot was held after that and how many are held in the end.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.bench.clients import Connection, ended, request
from tests.faults.stage import PATIENCE_S, PATIENT, Stage, fleet, gateway, replaying, until

MODEL = "huge-hasty"
AWAY = "10.77.0.2"
TOTAL_S = 2.0


async def vanish(stage: Stage, *, begun: bool) -> dict[str, float]:
    loop = asyncio.get_running_loop()
    await stage.order(f"{MODEL}={'huge' if begun else 'stall-before-headers'}")
    address = stage.url.rpartition("/")[2].split(":")
    _, client = await loop.create_connection(Connection, address[0], int(address[1]), local_addr=(AWAY, 0))

    async with asyncio.TaskGroup() as group:
        asking = group.create_task(ended(client, request(MODEL, stream=begun)))
        await (client.begun.wait() if begun else at_work(stage))
        await asyncio.to_thread(network, "address", "delete", f"{AWAY}/32", "dev", "lo")
        started = loop.time()
        leases = await stage.idle()
        took = loop.time() - started
        asking.cancel()
    stage.faultless()
    return {"took": took, "leases": leases}


async def at_work(stage: Stage) -> None:
    """Returns once the upstream has the query."""

    async def held() -> bool:
        return bool(await stage.leases())

    await until(held, PATIENCE_S)


def network(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


def main() -> None:
    begun = sys.argv[1:] == ["begun"]
    network("link", "set", "lo", "up")
    network("address", "add", f"{AWAY}/32", "dev", "lo")
    with tempfile.TemporaryDirectory() as name, replaying(Path(name), [MODEL]) as upstream:
        patience = {**PATIENT, "total": TOTAL_S} if begun else PATIENT  # who only waits is asked by the kernel before
        tree = fleet(upstream, [MODEL], each={"timeout": patience})
        with gateway(Path(name), tree, upstream) as stage:
            sys.stdout.write(json.dumps(asyncio.run(vanish(stage, begun=begun))))


if __name__ == "__main__":
    main()
