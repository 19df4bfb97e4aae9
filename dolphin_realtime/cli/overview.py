"""One reading of a stack: what its manager and the grid say now.

Reading belongs here; why it is not trading belongs in not_trading.py, the view in status_view.py.
"""

from datetime import UTC, datetime
from typing import Any

import msgspec
from hazelcast.client import HazelcastClient

from dolphin_realtime.cli.running import ask_grid
from dolphin_realtime.config.settings import Settings
from dolphin_realtime.grid import maps, wire
from dolphin_realtime.model.documents import Heartbeat, PnlDocument, StateDocument
from dolphin_realtime.model.errors import GridError
from dolphin_realtime.ops import firewall
from dolphin_realtime.ops.managers.interface import ServiceStatus
from dolphin_realtime.services.meta_health.files import maintenance, maintenance_path


class Overview(msgspec.Struct, kw_only=True):
    """One reading of the stack; None where a part could not be read."""

    services: list[ServiceStatus]
    ui_port: int
    scan: dict[str, Any] | None = None
    scan_age_s: float | None = None
    safety: dict[str, Any] | None = None
    health: dict[str, Any] | None = None
    states: dict[str, StateDocument | None] = {}
    pnl: dict[str, PnlDocument | None] = {}
    beats: dict[str, Heartbeat | None] = {}
    grid_error: str | None = None
    maintenance: str | None = None
    are_strangers_kept_out: bool | None = None


def read_documents(overview: Overview, client: HazelcastClient, instances: list[str]) -> None:
    """Fill an overview with the grid's documents."""
    now = datetime.now(UTC)

    def get(map_name: str, key: str) -> dict[str, Any] | None:
        return wire.decode(client.get_map(map_name).blocking().get(key))

    def read[D](map_name: str, key: str, kind: type[D]) -> D | None:
        return wire.read(client.get_map(map_name).blocking().get(key), kind)

    overview.scan = get(maps.FEATURES, maps.LATEST_SCAN)
    if overview.scan is not None:
        overview.scan_age_s = wire.age_s(overview.scan.get("bridge_ts"), now)
    overview.safety = get(maps.SAFETY, maps.LATEST)
    overview.health = get(maps.META_HEALTH, maps.LATEST)
    overview.states = {
        i: read(maps.state_map(i), maps.LATEST_STATE, StateDocument) for i in instances
    }
    overview.pnl = {
        i: read(maps.pnl_map(i), str(state.since), PnlDocument) if state else None
        for i, state in overview.states.items()
    }
    beats = client.get_map(maps.HEARTBEAT).blocking().entry_set()
    overview.beats = {str(name): wire.read(value, Heartbeat) for name, value in beats}
    for service in overview.services:
        beat = overview.beats.get(service.name)
        if beat is not None and service.state == "running":
            counted = ", ".join(f"{n} {what}" for what, n in beat.refused.items())
            service.detail = "; ".join(p for p in (beat.phase, beat.detail, counted) if p)


def read_overview(settings: Settings, services: list[ServiceStatus], ui_port: int) -> Overview:
    """Return one reading; if the grid is away, its parts stay None."""
    barred = maintenance(maintenance_path(settings), datetime.now(UTC))
    overview = Overview(services=services, ui_port=ui_port, maintenance=barred)
    overview.are_strangers_kept_out = firewall.holds(settings)
    try:
        ask_grid(settings, lambda client: read_documents(overview, client, settings.instance_names))
    except GridError as e:
        overview.grid_error = str(e)
    return overview
