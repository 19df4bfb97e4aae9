"""The latency of the grid alone: one client puts a scan document, another listens; nothing else.

It is the lower bound of put → callback in `dolphin bench latency`, on this machine at this time: the
same member, clients and documents, without ring buffer, feeds and services.
Run as ``python -m dolphin_realtime.bench.bare_grid PORT COUNT`` it is the listener.
"""

import asyncio
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec
import uvloop

from dolphin_realtime.bench.market import first_scan, make_market
from dolphin_realtime.bench.percentiles import percentiles_us
from dolphin_realtime.bench.stack import free_port
from dolphin_realtime.grid import connection, maps
from dolphin_realtime.grid.cluster import cluster_here
from dolphin_realtime.grid.member.config import MemberConfig
from dolphin_realtime.grid.member.member import Member
from dolphin_realtime.grid.member.warm_up import warm_up
from dolphin_realtime.infra.process import die_with_parent
from dolphin_realtime.model.errors import ServiceError
from dolphin_realtime.model.market.scan import decode_scan, encode_scan

CLUSTER: Final = "dolphin-bare"
WARM_UP: Final = 30
PATIENCE_S: Final = 5.0


def measure(n_assets: int, rounds: int, pause_s: float) -> dict[str, Any]:
    """Return microseconds from a put to the listener's callback, after a pause.

    Raises:
        MemberError: If the member does not start.
        ServiceError: If the listener missed a document.
    """
    with tempfile.TemporaryDirectory(prefix="dolphin-bare-") as folder:
        output = (Path(folder) / "member.log").open("wb")
        config = MemberConfig(cluster_name=CLUSTER, port=free_port(), run_dir=Path(folder))
        member = Member(config, output)
        try:
            member.start()
            client = connection.connect_blocking(cluster_here(CLUSTER, member.port), "bare-warm-up")
            warm_up(client)
            client.shutdown()
            return uvloop.run(_measure(member.port, n_assets, rounds, pause_s))
        finally:
            member.stop()
            output.close()


async def _measure(port: int, n_assets: int, rounds: int, pause_s: float) -> dict[str, Any]:
    client = await connection.connect(cluster_here(CLUSTER, port), "bare-put")
    features = await client.get_map(maps.FEATURES)
    command = [sys.executable, "-m", __spec__.name, str(port), str(WARM_UP + rounds)]
    listener = await asyncio.create_subprocess_exec(
        *command, stdout=subprocess.PIPE, preexec_fn=die_with_parent
    )
    if listener.stdout is None:
        raise ServiceError("the listener has no output")
    await listener.stdout.readline()  # it listens
    market, put_ns = make_market(n_assets), []
    scan = first_scan(market)
    for n in range(WARM_UP + rounds):
        await asyncio.sleep(pause_s)
        one = msgspec.structs.replace(scan, scan_number=n, seq=n)
        document = encode_scan(one, datetime.now(UTC))
        put_ns.append(time.monotonic_ns())
        await features.set(maps.LATEST_SCAN, document)
    async with asyncio.timeout(PATIENCE_S):
        heard = msgspec.json.decode(await listener.stdout.read(), type=dict[int, int])
        await listener.wait()
    await client.shutdown()
    took = [(heard[n] - at) / 1000 for n, at in enumerate(put_ns) if n >= WARM_UP and n in heard]
    if len(took) < rounds:
        raise ServiceError(f"the listener heard {len(took)} of {rounds} documents")
    return percentiles_us(took)


async def _listen(port: int, count: int) -> None:
    client = await connection.connect(cluster_here(CLUSTER, port), "bare-listen")
    features = await client.get_map(maps.FEATURES)
    heard: list[tuple[int, str]] = []
    is_done = asyncio.Event()

    def take(event: Any) -> None:
        heard.append((time.monotonic_ns(), event.value))
        if len(heard) == count:
            is_done.set()

    await features.add_entry_listener(
        include_value=True, key=maps.LATEST_SCAN, added_func=take, updated_func=take
    )
    sys.stdout.write("listening\n")
    sys.stdout.flush()
    await is_done.wait()
    sys.stdout.write(
        msgspec.json.encode({decode_scan(text).scan_number: at for at, text in heard}).decode()
    )
    await client.shutdown()


if __name__ == "__main__":
    uvloop.run(_listen(int(sys.argv[1]), int(sys.argv[2])))
