"""M4, control plane: the member's readiness and whether the Dagster webserver answers."""

import asyncio

from dolphin_realtime.managers.interface import ServiceStatus
from dolphin_realtime.member.member import is_ready
from dolphin_realtime.member.service import ANSWERS
from dolphin_realtime.meta_health.reading import Reading
from dolphin_realtime.model.recovery import HAZELCAST, WEBSERVER
from dolphin_realtime.ports import answers

TIMEOUT_S = 2.0


async def read_control_plane(hazelcast_port: int, ui_port: int | None) -> Reading:
    """Return M4 by port; where no webserver is meant to run there is none to count.

    An open port is not enough: the kernel accepts for a process that hangs.
    """
    asked = {HAZELCAST: asyncio.to_thread(is_ready, hazelcast_port, TIMEOUT_S)}
    if ui_port is not None:
        asked[WEBSERVER] = asyncio.to_thread(answers, ui_port, "/server_info", TIMEOUT_S)
    results = dict(zip(asked, await asyncio.gather(*asked.values()), strict=True))
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
