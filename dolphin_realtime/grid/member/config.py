"""The member's configuration and command line, chosen so that it starts without warnings.

The scan ring buffer's capacity times its largest item must stay below half the heap.
"""

from pathlib import Path
from typing import Final

from dolphin_realtime.grid.maps import SCAN_RING_CAPACITY

MAIN_CLASS: Final = "com.hazelcast.core.server.HazelcastMemberStarter"
HEAP_MAX: Final = "256m"
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
  network:
    port: {{port: {port}, auto-increment: false}}
    join:
      auto-detection: {{enabled: false}}
      multicast: {{enabled: false}}
      tcp-ip: {{enabled: true, member-list: ["127.0.0.1:{port}"]}}
    interfaces: {{enabled: true, interfaces: [127.0.0.1]}}
    rest-api:
      enabled: true
      endpoint-groups: {{HEALTH_CHECK: {{enabled: true}}, CLUSTER_READ: {{enabled: false}}}}
  jet: {{enabled: false}}
  metrics: {{enabled: false}}
  map:
    "DOLPHIN_*": {{backup-count: 0, in-memory-format: BINARY, statistics-enabled: true}}
  ringbuffer:
    "dolphin_*":
      {{capacity: {ring}, backup-count: 0, time-to-live-seconds: 0, in-memory-format: BINARY}}
"""


def render_config(cluster_name: str, port: int) -> str:
    """Return the member's YAML: one loopback member, no phone home, no Jet."""
    return _YAML.format(cluster_name=cluster_name, port=port, ring=SCAN_RING_CAPACITY)


def command_line(
    java: Path, java_major: int, jar: Path, config: Path, archive: list[str]
) -> list[str]:
    """Return the member's command line.

    Args:
        java: The Java to run.
        java_major: Its major version.
        jar: The member's jar.
        config: Its configuration.
        archive: Java's options about the class archive.
    """
    opens = ["java.base/java.lang", "java.base/java.nio", "java.base/sun.nio.ch"]
    opens += ["java.management/sun.management", "jdk.management/com.sun.management.internal"]
    flags = ["-Xms64m", f"-Xmx{HEAP_MAX}", "-XX:+UseSerialGC", "-XX:+ExitOnOutOfMemoryError"]
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
