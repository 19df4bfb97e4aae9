"""The service table: every process of a stack, in the order it is started.

Commands, readiness and time limits belong here; running them does not (managed.py).
"""

import sys
from pathlib import Path
from typing import Final

import msgspec

from dolphin_realtime.settings import Settings

ROOT: Final = Path(__file__).resolve().parents[2]
"""The checkout: dagster.yaml lies there."""
LOCATION: Final = "dolphin"


class Spec(msgspec.Struct, frozen=True, kw_only=True):
    """One service.

    Attributes:
        ready: notify (it says READY=1), exit (it ends with 0), or a URL path on ``port``.
        port: Loopback port it listens on, 0 for none; must be free at the start.
        watchdog_s: It must ping at least this often, 0 for never.
        waits_for: Services that must be ready before it is started.
        niceness: Added to its own and its children's: trading comes first.
    """

    name: str
    command: list[str]
    ready: str = "notify"
    port: int = 0
    waits_for: list[str] = []
    watchdog_s: float = 0.0
    start_timeout_s: float = 90.0
    stop_timeout_s: float = 15.0
    niceness: int = 0


def _dolphin(*args: str) -> list[str]:
    return [sys.executable, "-m", "dolphin_realtime.cli", "service", *args]


def _dagster(program: str, *args: str) -> list[str]:
    return [str(Path(sys.executable).parent / program), *args]


def workspace_file(settings: Settings) -> Path:
    """Return the workspace that points at the stack's own code server."""
    return settings.run_dir / "workspace.yaml"


def render_workspace(settings: Settings) -> str:
    """Return a workspace with the root workspace's location name, served over gRPC."""
    return (
        "load_from:\n  - grpc_server:\n      host: 127.0.0.1\n"
        f"      port: {settings.code_port}\n      location_name: {LOCATION}\n"
    )


def realtime(settings: Settings, *, is_demo: bool) -> list[Spec]:
    """Return the realtime services in order."""
    grid = ["hazelcast"]
    specs = [
        Spec(
            name="hazelcast",
            command=_dolphin("hazelcast"),
            port=settings.hazelcast_port,
            watchdog_s=settings.watchdog_s,
            start_timeout_s=360.0,
            stop_timeout_s=30.0,
        )
    ]
    if is_demo:
        specs.append(
            Spec(name="replay", command=_dolphin("replay"), watchdog_s=settings.watchdog_s)
        )
    bridge_waits = ["hazelcast", "replay"] if is_demo else grid
    specs += [
        Spec(
            name="bridge",
            command=_dolphin("bridge"),
            waits_for=bridge_waits,
            watchdog_s=settings.watchdog_s,
        ),
        Spec(
            name="safety",
            command=_dolphin("safety"),
            waits_for=grid,
            watchdog_s=settings.watchdog_s,
        ),
    ]
    if settings.orderbook_ws:
        specs.append(
            Spec(
                name="orderbook",
                command=_dolphin("orderbook"),
                waits_for=bridge_waits,
                watchdog_s=settings.watchdog_s,
            )
        )
    specs += [
        Spec(
            name=f"trader@{instance}",
            command=_dolphin("trader", instance),
            waits_for=["bridge", "safety"],
            watchdog_s=settings.watchdog_s,
        )
        for instance in settings.instance_names
    ]
    meta = Spec(
        name="meta-health",
        command=_dolphin("meta-health"),
        waits_for=grid,
        watchdog_s=settings.watchdog_s,
    )
    return [*specs, meta]


def dagster(settings: Settings) -> list[Spec]:
    """Return the Dagster services in order: instance and pool limits first."""
    workspace = str(workspace_file(settings))
    host = ["-h", "127.0.0.1"]
    return [
        Spec(
            name="dagster-setup",
            command=[sys.executable, "-m", "dolphin_dagster.setup"],
            ready="exit",
        ),
        Spec(
            name="dagster-code",
            command=_dagster(
                "dagster", "api", "grpc", "-m", "dolphin_dagster.definitions", *host,
                "-p", str(settings.code_port), "--location-name", LOCATION,
            ),
            ready="port",
            port=settings.code_port,
            waits_for=["dagster-setup"],
            stop_timeout_s=20.0,
            niceness=10,
        ),
        Spec(
            name="dagster-webserver",
            command=_dagster(
                "dagster-webserver", *host, "-p", str(settings.ui_port), "-w", workspace
            ),
            ready="/server_info",
            port=settings.ui_port,
            waits_for=["dagster-code"],
        ),
        Spec(
            name="dagster-daemon",
            command=_dagster("dagster-daemon", "run", "-w", workspace),
            ready="started",
            waits_for=["dagster-code"],
        ),
    ]  # fmt: skip


def table(settings: Settings, *, is_demo: bool, with_dagster: bool) -> list[Spec]:
    """Return every service of a stack, in the order of starting."""
    specs = realtime(settings, is_demo=is_demo)
    return [*specs, *dagster(settings)] if with_dagster else specs


def environment(settings: Settings, base: dict[str, str]) -> dict[str, str]:
    """Return the environment of every service: settings spelt out, Dagster's two homes."""
    return {
        **base,
        "DOLPHIN_HOME": str(settings.home),
        "DOLPHIN_HAZELCAST_PORT": str(settings.hazelcast_port),
        "DOLPHIN_UI_PORT": str(settings.ui_port),
        "DOLPHIN_CODE_PORT": str(settings.code_port),
        "DOLPHIN_DAGSTER_VAR": str(settings.home / "dagster"),
        "DAGSTER_HOME": str(ROOT),
        "PYTHONUNBUFFERED": "1",
    }
