"""The member's configuration and command line, chosen so that it starts without warnings."""

from pathlib import Path
from typing import Final

import msgspec

from dolphin_realtime.config.settings import Settings
from dolphin_realtime.grid.cluster import cluster_of
from dolphin_realtime.grid.maps import SCAN_RING_CAPACITY
from dolphin_realtime.grid.member.size import HEAP_MIN_MB, heap_mb
from dolphin_realtime.infra.ports import LOOPBACK

MAIN_CLASS: Final = "com.hazelcast.core.server.HazelcastMemberStarter"
UNSAFE_FLAG_SINCE: Final = 24

_YAML: Final = """\
hazelcast:
  cluster-name: "{cluster_name}"
  properties:
    hazelcast.phone.home.enabled: false
    hazelcast.socket.bind.any: false
    hazelcast.shutdownhook.policy: GRACEFUL
    hazelcast.graceful.shutdown.max.wait: 20
    hazelcast.logging.type: jdk
    hazelcast.io.thread.count: 1
    hazelcast.operation.thread.count: 2
    hazelcast.operation.generic.thread.count: 2
    hazelcast.event.thread.count: 1
    hazelcast.client.max.no.heartbeat.seconds: 15
    hazelcast.heartbeat.interval.seconds: 1
    hazelcast.max.no.heartbeat.seconds: 5
    hazelcast.merge.first.run.delay.seconds: 5
    hazelcast.merge.next.run.delay.seconds: 5
  network:
    port: {{port: {port}, auto-increment: false}}
    join:
      auto-detection: {{enabled: false}}
      multicast: {{enabled: false}}
      tcp-ip: {{enabled: true, member-list: [{members}]}}
    interfaces: {{enabled: true, interfaces: [{bind}]}}
    rest-api:
      enabled: true
      endpoint-groups: {{HEALTH_CHECK: {{enabled: true}}, CLUSTER_READ: {{enabled: false}}}}
  jet: {{enabled: false}}
  metrics: {{enabled: false}}
  map:
    "DOLPHIN_*":
      backup-count: {backups}
      in-memory-format: BINARY
      statistics-enabled: true
      per-entry-stats-enabled: true
      merge-policy: {{class-name: LatestUpdateMergePolicy}}
  ringbuffer:
    "dolphin_*":
      capacity: {ring}
      backup-count: {backups}
      time-to-live-seconds: 0
      in-memory-format: BINARY
      merge-policy: {{class-name: DiscardMergePolicy}}
"""


class MemberConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What differs between members.

    Attributes:
        cluster_name: Name of the cluster.
        port: Port it listens on.
        run_dir: Folder of its configuration file.
        heap_mb: Its largest heap in MiB.
        bind: Address of this machine that it listens on.
        members: Addresses of all members of the cluster; empty: it is the only one.
    """

    cluster_name: str
    port: int
    run_dir: Path
    heap_mb: int = HEAP_MIN_MB
    bind: str = LOOPBACK
    members: tuple[str, ...] = ()


def config_of(settings: Settings) -> MemberConfig:
    """Return the configuration of a stack's member."""
    return MemberConfig(
        cluster_name=settings.cluster_name,
        port=settings.hazelcast_port,
        run_dir=settings.run_dir,
        heap_mb=heap_mb(settings),
        bind=settings.grid_bind,
        members=cluster_of(settings).addresses,
    )


def render_config(config: MemberConfig) -> str:
    """Return the member's YAML: it joins the named members alone; no phone home, no Jet.

    With several members each map and ring buffer has a copy on another member, and what a divided
    cluster wrote on both sides is merged: the newest value of a key stays, the larger side's ring
    buffer stays. The bridge adds what that one lacks.
    """
    members = config.members or (f"{config.bind}:{config.port}",)
    return _YAML.format(
        cluster_name=config.cluster_name,
        port=config.port,
        ring=SCAN_RING_CAPACITY,
        members=", ".join(f'"{address}"' for address in members),
        bind=config.bind,
        backups=int(len(members) > 1),
    )


def command_line(
    java: Path, java_major: int, jar: Path, config: Path, archive: list[str], heap_mb: int
) -> list[str]:
    """Return the member's command line.

    Args:
        java: The Java to run.
        java_major: Its major version.
        jar: The member's jar.
        config: Its configuration.
        archive: Java's options about the class archive.
        heap_mb: Its largest heap in MiB.
    """
    opens = ["java.base/java.lang", "java.base/java.nio", "java.base/sun.nio.ch"]
    opens += ["java.management/sun.management", "jdk.management/com.sun.management.internal"]
    flags = ["-Xms64m", f"-Xmx{heap_mb}m", "-XX:+UseSerialGC", "-XX:+ExitOnOutOfMemoryError"]
    flags += ["-XX:TieredStopAtLevel=1"]  # for code that runs seldom: compiled early, and once
    flags += ["--add-modules", "java.se"]
    flags += ["--add-exports", "java.base/jdk.internal.ref=ALL-UNNAMED"]
    for package in opens:
        flags += ["--add-opens", f"{package}=ALL-UNNAMED"]
    if java_major >= UNSAFE_FLAG_SINCE:
        flags.append("--sun-misc-unsafe-memory-access=allow")
    return [
        str(java),
        *flags,
        *archive,
        f"-Dhazelcast.config={config}",
        "-cp",
        str(jar),
        MAIN_CLASS,
    ]
