"""M4, control plane: the member's readiness and the Dagster webserver's port."""

import asyncio
from contextlib import suppress

from dolphin_realtime.managers.interface import ServiceStatus
from dolphin_realtime.member.member import is_ready
from dolphin_realtime.member.service import ANSWERS
from dolphin_realtime.meta_health.reading import Reading
from dolphin_realtime.model.recovery import HAZELCAST, WEBSERVER

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
    """Return M4 by port; where no webserver is meant to run there is none to count."""
    results = {HAZELCAST: await asyncio.to_thread(is_ready, hazelcast_port, CONNECT_TIMEOUT_S)}
    if ui_port is not None:
        results[WEBSERVER] = await _is_open(ui_port)
    return Reading(
        scores={k: float(v) for k, v in results.items()},
        facts={k: {"answers": v} for k, v in results.items()},
    )


def with_witness(plane: Reading, services: list[ServiceStatus] | None) -> Reading:
    """Return M4, the member unknown where its own service says that it answers.

    It says so through its manager, not through the grid: then meta health is cut off.
    """
    member = next((s for s in services or [] if s.name == HAZELCAST), None)
    answers_here = plane.scores.get(HAZELCAST) != 0.0
    if answers_here or member is None or member.state != "running" or member.said != ANSWERS:
        return plane
    why = "its own service reaches it, meta health does not"
    return Reading(
        scores={**plane.scores, HAZELCAST: None},
        facts={**plane.facts, HAZELCAST: {"answers": False, "unknown": why}},
    )
