"""M4, control plane: the member's readiness and the Dagster webserver's port."""

import asyncio
from contextlib import suppress

from dolphin_realtime.member.member import is_ready
from dolphin_realtime.meta_health.reading import Reading
from dolphin_realtime.model.health import share

CONNECT_TIMEOUT_S = 1.0


async def _is_open(port: int) -> bool:
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return True


async def read_control_plane(hazelcast_port: int, ui_port: int | None) -> Reading:
    """Return M4: the share of the control plane that answers; no webserver, no port to count."""
    results = {"hazelcast": await asyncio.to_thread(is_ready, hazelcast_port, CONNECT_TIMEOUT_S)}
    if ui_port is not None:
        results["dagster-webserver"] = await _is_open(ui_port)
    subsystems: dict[str, dict[str, object]] = {k: {"answers": v} for k, v in results.items()}
    return Reading(score=share(results), subsystems=subsystems)
