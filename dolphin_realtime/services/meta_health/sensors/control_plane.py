"""M4, control plane: the member's readiness, the Dagster webserver, and whether that reaches the code.

A part that runs may still not reach another one, as through a proxy: what it says of that counts.
"""

import asyncio
from typing import Final

from dolphin_realtime.grid.member.member import ANSWERS, is_ready
from dolphin_realtime.infra.ports import answers
from dolphin_realtime.model.errors import ServiceError
from dolphin_realtime.model.health.recovery import HAZELCAST, WEBSERVER
from dolphin_realtime.ops import dagster_api
from dolphin_realtime.ops.managers.interface import ServiceStatus
from dolphin_realtime.services.meta_health.reading import Reading

TIMEOUT_S: Final = 2.0
CODE: Final = "code_location"
"""Dolphin's definitions as the webserver sees them: no service, so nothing is restarted for it."""


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


def read_code(ui_port: int) -> Reading:
    """Return M4 of the definitions as the webserver reaches them; unknown while it loads them."""
    try:
        trouble = dagster_api.code_trouble(ui_port, TIMEOUT_S)
    except ServiceError as e:
        return Reading(scores={CODE: None}, facts={CODE: {"unknown": str(e)}})
    facts = {"answers": trouble is None, **({"why": trouble} if trouble else {})}
    return Reading(scores={CODE: float(trouble is None)}, facts={CODE: facts})


def cross_check(plane: Reading, services: list[ServiceStatus] | None) -> Reading:
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
