"""A client whose machine is gone without a word: no FIN, no RST, no acknowledgement ever again.

    unshare --map-root-user --net python -m tests.faults.vanishing

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
from tests.faults.stage import PATIENT, Stage, fleet, gateway, replaying

MODEL = "huge-hasty"
AWAY = "10.77.0.2"
TOTAL_S = 2.0


async def vanish(stage: Stage) -> dict[str, float]:
    loop = asyncio.get_running_loop()
    await stage.order(f"{MODEL}=huge")
    address = stage.url.rpartition("/")[2].split(":")
    _, client = await loop.create_connection(Connection, address[0], int(address[1]), local_addr=(AWAY, 0))

    async with asyncio.TaskGroup() as group:
        asking = group.create_task(ended(client, request(MODEL, stream=True)))
        await client.begun.wait()
        await asyncio.to_thread(network, "address", "delete", f"{AWAY}/32", "dev", "lo")
        started = loop.time()
        leases = await stage.idle()
        took = loop.time() - started
        asking.cancel()
    stage.faultless()
    return {"took": took, "leases": leases}


def network(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


def main() -> None:
    network("link", "set", "lo", "up")
    network("address", "add", f"{AWAY}/32", "dev", "lo")
    with tempfile.TemporaryDirectory() as name, replaying(Path(name), [MODEL]) as upstream:
        tree = fleet(upstream, [MODEL], each={"timeout": {**PATIENT, "total": TOTAL_S}})
        with gateway(Path(name), tree, upstream) as stage:
            sys.stdout.write(json.dumps(asyncio.run(vanish(stage))))


if __name__ == "__main__":
    main()
