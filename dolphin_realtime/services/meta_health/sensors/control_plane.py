"""Control plane (`m4_control_plane`): the member, the Dagster webserver, and its code location.

The webserver may run and still not reach the code, for instance because of a proxy; what it
reports about the code location counts.
"""

import asyncio
from typing import Final

from dolphin_realtime.config.settings import Settings
from dolphin_realtime.grid.cluster import cluster_of
from dolphin_realtime.grid.member.member import ANSWERS, is_ready
from dolphin_realtime.infra.ports import answers
from dolphin_realtime.model.errors import ServiceError
from dolphin_realtime.model.health.recovery import HAZELCAST, WEBSERVER
from dolphin_realtime.ops import dagster_api
from dolphin_realtime.ops.managers.interface import ServiceStatus
from dolphin_realtime.services.meta_health.reading import Reading

TIMEOUT_S: Final = 2.0
CODE: Final = "code_location"
"""Dolphin's definitions as the webserver sees them: not a service, so nothing is restarted."""


async def read_control_plane(settings: Settings, ui_port: int | None) -> Reading:
    """Return the control plane's score by service; the webserver only if it is meant to run.

    An open port is not enough: the kernel accepts connections for a process that hangs.
    """
    host, _, port = cluster_of(settings).addresses[0].rpartition(":")
    asked = {HAZELCAST: asyncio.to_thread(is_ready, int(port), TIMEOUT_S, host)}
    if ui_port is not None:
        asked[WEBSERVER] = asyncio.to_thread(answers, ui_port, "/server_info", TIMEOUT_S)
    results = dict(zip(asked, await asyncio.gather(*asked.values()), strict=True))
    return Reading(
        scores={k: float(v) for k, v in results.items()},
        facts={k: {"answers": v} for k, v in results.items()},
    )


def read_code(ui_port: int) -> Reading:
    """Return whether the webserver reaches the definitions; unknown while it loads them."""
    try:
        trouble = dagster_api.code_trouble(ui_port, TIMEOUT_S)
    except ServiceError as e:
        return Reading(scores={CODE: None}, facts={CODE: {"unknown": str(e)}})
    facts = {"answers": trouble is None, **({"why": trouble} if trouble else {})}
    return Reading(scores={CODE: float(trouble is None)}, facts={CODE: facts})


def cross_check(plane: Reading, services: list[ServiceStatus] | None) -> Reading:
    """Return the reading, but the member as unknown if its own service reports that it answers.

    That report comes through the service manager, not the grid: meta health itself is cut off.
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
