"""`dolphin bench recovery`: the cost of meta health, and each service's time to recover.

It uses a separate demo stack with the default cadence and replayed prices. Killing and timing
belong here; the manager and meta health do the restarts.
"""

import os
import signal
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec
from hazelcast.client import HazelcastClient
from hazelcast.errors import HazelcastError

from dolphin_realtime.bench.cpu import cpu_s
from dolphin_realtime.bench.stack import Stack, wait_for
from dolphin_realtime.config import services as service_table
from dolphin_realtime.config.loading import load
from dolphin_realtime.grid import connection, maps, wire
from dolphin_realtime.grid.cluster import cluster_here
from dolphin_realtime.infra.ports import answers
from dolphin_realtime.model import instant
from dolphin_realtime.model.errors import ServiceError
from dolphin_realtime.model.health.recovery import HAZELCAST, OBSERVER
from dolphin_realtime.services.meta_health.files import LedgerLine, ledger_path, read_ledger

BACK_S: Final = 180.0
LOOK_S: Final = 1.0


class Report(msgspec.Struct, kw_only=True):
    """What was measured.

    Attributes:
        cpu_share: Meta health's share of one core, over ``watched_s``.
        turn_ms: Median and longest turn seen.
        seconds: Time from SIGKILL to recovery, by service. A service with heartbeats has recovered
            when its new process reports ready; Hazelcast, when every document is back.
        hang_s: Time from SIGSTOP of the Hazelcast member to the cure in the ledger.
        actions: All actions of recovery, in order.
    """

    watched_s: float
    cpu_share: float
    turn_ms: dict[str, float]
    seconds: dict[str, float]
    hang_s: float
    actions: list[str]


def bench_recovery(watch_s: float, say: Callable[[str], None]) -> Report:
    """Start a demo of its own, watch, kill each service once, hang the member once.

    Raises:
        ServiceError: If the stack does not come up, or a service does not come back.
    """
    with (
        tempfile.TemporaryDirectory(prefix="dolphin-recovery-") as folder,
        Stack(Path(folder) / "home", "--demo", start_limit_burst=20) as stack,
    ):
        client = connection.connect_blocking(cluster_here("dolphin", stack.port), "bench", 20.0)
        try:
            return _Measurement(stack, client, say).run(watch_s)
        finally:
            client.shutdown()


def _stays(row: service_table.Service) -> bool:
    """Return whether a service runs until it is stopped, unlike a set-up step."""
    return row.ready != "exit"


class _Measurement:
    def __init__(self, stack: Stack, client: HazelcastClient, say: Callable[[str], None]) -> None:
        self._stack, self._client, self._say = stack, client, say
        self._settings = load({**stack.env, "DOLPHIN_ORDERBOOK_WS": "the demo's"})
        self._rows = service_table.stack(self._settings, is_demo=True, with_dagster=True)

    def run(self, watch_s: float) -> Report:
        wait_for(self._is_green, BACK_S, "GREEN")
        share, turns = self._watch(watch_s)
        seconds = {name: self._killed(name) for name, row in self._rows.items() if _stays(row)}
        wait_for(self._is_green, BACK_S, "GREEN")
        hang_s = self._hung()
        longest = {"median": statistics.median(turns), "max": max(turns)}
        return Report(
            watched_s=watch_s,
            cpu_share=share,
            turn_ms=longest,
            seconds=seconds,
            hang_s=hang_s,
            actions=[
                f"{x.event} {x.action.kind} {x.action.target}: {x.why}" for x in self._ledger()
            ],
        )

    def _document(self, map_name: str, key: str) -> dict[str, object]:
        try:
            return wire.decode(self._client.get_map(map_name).blocking().get(key)) or {}
        except (HazelcastError, OSError, TimeoutError):
            return {}

    def _is_green(self) -> bool:
        return self._document(maps.META_HEALTH, maps.LATEST).get("status") == "GREEN"

    def _watch(self, watch_s: float) -> tuple[float, list[float]]:
        """Return meta health's share of a core, and the turn times reported in its heartbeat."""
        self._say(f"watching meta health for {watch_s:.0f} s")
        pid = self._stack.service(OBSERVER).pid or 0
        turns, seen = [], None
        before, began = cpu_s(pid), time.monotonic()
        while time.monotonic() - began < watch_s:
            detail = str(self._document(maps.HEARTBEAT, OBSERVER).get("detail"))
            if detail != seen and detail.endswith(" ms"):
                turns.append(float(detail.split()[-2]))
                seen = detail
            time.sleep(LOOK_S)
        if not turns:
            raise ServiceError("meta health reported no turn")
        return (cpu_s(pid) - before) / (time.monotonic() - began), turns

    def _killed(self, name: str) -> float:
        self._say(f"killing {name}")
        pid, at, began = self._stack.service(name).pid or 0, datetime.now(UTC), time.monotonic()
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: self._is_back(name, pid, at), BACK_S, f"the return of {name}")
        return round(time.monotonic() - began, 1)

    def _is_back(self, name: str, old: int, at: datetime) -> bool:
        service = self._stack.service(name)
        if service.pid in (None, old) or service.state != "running":
            return False
        row = self._rows[name]
        if row.ready.startswith("/"):
            return answers(self._stack.ui_port, row.ready)
        if not row.asset:  # its heartbeats are not watched
            return True
        if name == HAZELCAST:
            kept = [(maps.FEATURES, maps.LATEST_SCAN), (maps.SAFETY, maps.LATEST)]
            kept += [(maps.state_map(i), maps.LATEST_STATE) for i in self._settings.instance_names]
            return all(self._document(*where) for where in kept)
        beat = self._document(maps.HEARTBEAT, name)
        beat_at = instant.parse(beat.get("ts"))
        return beat_at is not None and beat_at > at and beat.get("phase") == "ready"

    def _hung(self) -> float:
        self._say("stopping the Hazelcast member by a signal")
        jvm = self._document(maps.HEARTBEAT, HAZELCAST).get("pid")
        if not isinstance(jvm, int):
            raise ServiceError("the member's heartbeat has no process id")
        time.sleep(load(self._stack.env).mhs_grace_s)
        began = time.monotonic()
        os.kill(jvm, signal.SIGSTOP)
        wait_for(self._is_member_cured, BACK_S, "the cure of the member")
        return round(time.monotonic() - began, 1)

    def _is_member_cured(self) -> bool:
        return any(x.event == "cured" and x.action.target == HAZELCAST for x in self._ledger())

    def _ledger(self) -> list[LedgerLine]:
        return read_ledger(ledger_path(load(self._stack.env)))[0]
