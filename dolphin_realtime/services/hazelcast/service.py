"""`dolphin service hazelcast`: runs the member in the foreground, with readiness and heartbeat."""

import signal
import threading
from datetime import UTC, datetime
from typing import Final

from hazelcast.client import HazelcastClient

from dolphin_realtime.config.services import HAZELCAST
from dolphin_realtime.config.settings import Settings
from dolphin_realtime.grid import connection, maps, wire
from dolphin_realtime.grid.cluster import Cluster, name_of_member
from dolphin_realtime.grid.member.config import config_of
from dolphin_realtime.grid.member.member import ANSWERS, Member
from dolphin_realtime.grid.member.warm_up import warm_up
from dolphin_realtime.infra import log
from dolphin_realtime.infra.process import notify
from dolphin_realtime.model.documents import Heartbeat
from dolphin_realtime.model.errors import GridError, MemberError
from dolphin_realtime.runtime.metrics import Figures, serve_metrics

BEAT_S: Final = 2.0


def run(settings: Settings) -> int:
    """Run the member until SIGTERM and return 0.

    Raises:
        MemberError: If it cannot be started, or ends by itself.
    """
    log.configure(HAZELCAST)
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    member = Member(config_of(settings), output=None)
    member.start(settings.hazelcast_jar, settings.maven_base, settings.java)
    log.get().info("member.ready", port=settings.hazelcast_port, pid=member.pid)
    notify(f"READY=1\nSTATUS={ANSWERS}")
    try:
        _watch(member, settings, stopping)
    finally:
        member.stop()
    return 0


def _watch(member: Member, settings: Settings, stopping: threading.Event) -> None:
    """Write a heartbeat while the member is ready.

    Raises:
        MemberError: If the JVM has ended, or the member refuses this client.
    """
    try:
        own = Cluster(settings.cluster_name, (settings.own_address,))
        client = connection.connect_blocking(own, HAZELCAST)
    except GridError as e:
        raise MemberError(f"the member refuses its own client: {e}") from e
    beats = client.get_map(maps.HEARTBEAT)
    _warm_up(client)
    figures = Figures()
    without = serve_metrics(settings, HAZELCAST, figures)
    if without is not None:
        log.get().warning("member.metrics_unserved", why=without)
    sent = None
    try:
        while not stopping.wait(BEAT_S):
            code = member.exit_code()
            if code is not None:
                raise MemberError(f"the member ended with exit code {code}")
            if not member.is_ready(timeout_s=1.0):
                notify("STATUS=the member does not answer")
                figures.set("ready", 0)
                continue
            notify(f"WATCHDOG=1\nSTATUS={ANSWERS}")
            figures.set("ready", 1)
            if sent is None or sent.done():
                if sent is not None and not sent.is_success():
                    log.get().warning("member.heartbeat_lost", why=str(sent.exception()))
                sent = beats.set(name_of_member(settings), _heartbeat(member))
    finally:
        client.shutdown()


def _warm_up(client: HazelcastClient) -> None:
    """Warm the member up; one that does not answer is for the watch to deal with."""
    try:
        rounds, seconds = warm_up(client)
    except connection.GRID_FAULTS as e:
        log.get().warning("member.not_warmed_up", why=str(e))
    else:
        log.get().info("member.warmed_up", rounds=rounds, seconds=round(seconds, 2))


def _heartbeat(member: Member) -> str:
    return wire.encode(
        Heartbeat(ts=datetime.now(UTC), pid=member.pid, phase="ready", detail="one member")
    )
