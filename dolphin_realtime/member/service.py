"""`dolphin service hazelcast`: the member in front, with readiness and heartbeat."""

import signal
import threading
from typing import Final

from dolphin_realtime import grid, log
from dolphin_realtime.member.member import Member, is_ready
from dolphin_realtime.model.errors import GridError, MemberError
from dolphin_realtime.process import notify
from dolphin_realtime.settings import Settings

BEAT_S: Final = 2.0
SERVICE: Final = "hazelcast"


def run(settings: Settings) -> int:
    """Run the member until SIGTERM; return 0, or 1 where it died by itself.

    Raises:
        MemberError: If it cannot be started.
    """
    log.configure(SERVICE)
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    member = Member(settings.cluster_name, settings.hazelcast_port, settings.run_dir, output=None)
    member.start(settings.hazelcast_jar, settings.maven_base, settings.java)
    log.get().info("member.ready", port=settings.hazelcast_port, pid=member.pid)
    notify("READY=1\nSTATUS=ready")
    try:
        _watch(member, settings, stopping)
    finally:
        member.stop()
    return 0


def _watch(member: Member, settings: Settings, stopping: threading.Event) -> None:
    """Beat while the member is ready.

    Raises:
        MemberError: When the JVM has ended.
    """
    try:
        client = grid.connect_blocking(settings.cluster_name, settings.hazelcast_port, SERVICE)
    except GridError as e:
        raise MemberError(f"the member refuses its own client: {e}") from e
    beats = client.get_map(grid.HEARTBEAT).blocking()
    try:
        while not stopping.wait(BEAT_S):
            code = member.exit_code()
            if code is not None:
                raise MemberError(f"the member ended with exit code {code}")
            if is_ready(settings.hazelcast_port, timeout_s=1.0):
                beats.set(
                    SERVICE,
                    grid.encode(
                        {
                            "ts": grid.now_iso(),
                            "pid": member.pid,
                            "phase": "ready",
                            "detail": "one member",
                        }
                    ),
                )
                notify("WATCHDOG=1")
    finally:
        client.shutdown()
