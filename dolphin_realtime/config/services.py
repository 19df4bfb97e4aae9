"""The service table: every service of a stack, in the order of starting, one row each.

Every other list of services (those that run, are watched, are critical, have a port, an asset or
bounds) is made from this one. Turning a row into a command belongs in ops/runner/services.py,
the work of a service in its own folder.
"""

from typing import Final, Literal

import msgspec

from dolphin_realtime.config.settings import Settings
from dolphin_realtime.model.health import recovery

HAZELCAST: Final = recovery.HAZELCAST
REPLAY: Final = "replay"
SCANNER: Final = "scanner"
BRIDGE: Final = "bridge"
SAFETY: Final = "safety"
ORDERBOOK: Final = "orderbook"
TRADER: Final = "trader"
META_HEALTH: Final = recovery.OBSERVER
ALERTER: Final = "alerter"
SETUP: Final = "dagster-setup"
CODE: Final = "dagster-code"
WEBSERVER: Final = recovery.WEBSERVER
VIEWER: Final = "dagster-viewer"
DAEMON: Final = "dagster-daemon"
TRADER_PORTS_FROM: Final = 10
"""Offset of the first trader's metrics port from `metrics_port`."""


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """Resource limits of a service under systemd; tasks are threads and processes together.

    Attributes:
        memory_mb: Above this it is killed; from nine tenths of this on it is throttled.
        cpu_percent: In percent of one processor.
        outlives_oom: A child that takes all the memory is killed, the service goes on.
    """

    memory_mb: int
    tasks: int
    cpu_percent: int
    outlives_oom: bool = False


SMALL: Final = Bounds(memory_mb=512, tasks=50, cpu_percent=100)
TRADING: Final = Bounds(memory_mb=2048, tasks=50, cpu_percent=200)
JVM: Final = Bounds(memory_mb=1536, tasks=200, cpu_percent=200)
WEB: Final = Bounds(memory_mb=1024, tasks=100, cpu_percent=100)
RUNS: Final = Bounds(memory_mb=4096, tasks=300, cpu_percent=200, outlives_oom=True)
"""For the code server and all Dagster runs, which are its children."""


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """One row: what is fixed for a service, whatever the settings.

    Attributes:
        name: Its name in commands and units; a trader's is followed by ``@`` and its instance.
        runs: When it belongs to a stack: always, where a member runs on this machine, in the demo,
            if a setting enables it, or with Dagster.
        module: Where its ``run`` is; empty for Dagster's own programs.
        frame: How it runs: in a service context that needs the grid at start, in one that does
            not, or without one.
        is_watched: Meta health expects it to run and to write heartbeats (M1, M2).
        is_critical: M1 and M2 are never higher than its own score.
        is_needed_to_trade: No position is opened while it is down.
        sees_alerts: While it is down, faults may go unreported.
        asset: Key of the Dagster asset that shows it; ``{}`` is the instance.
        metrics_port: Offset from the first metrics port; None: it serves no metrics.
        ready: notify (it says READY=1), exit (it ends with 0), port (it listens), started, or a
            URL path that answers.
        watchdog: Its watchdog interval in units of ``watchdog_s``; 0: no watchdog.
        waits_for: Services that must be ready before it is started.
        niceness: Added to its niceness and its children's: trading comes first.
        tier: Its systemd slice: realtime, control, or empty for a service that watches both.
        faces_network: It talks to hosts beyond this machine.
        writes_code: It generates code at run time, as a JVM does.
    """

    name: str
    runs: Literal[
        "always", "member", "demo", "marks", "orderbook", "alerts", "dagster", "viewer"
    ] = "always"
    module: str = ""
    frame: Literal["grid", "no grid", "own"] = "grid"
    is_watched: bool = False
    is_critical: bool = False
    is_needed_to_trade: bool = False
    sees_alerts: bool = False
    asset: str = ""
    metrics_port: int | None = None
    ready: str = "notify"
    watchdog: float = 1.0
    start_timeout_s: float = 90.0
    stop_timeout_s: float = 15.0
    waits_for: tuple[str, ...] = ()
    niceness: int = 0
    bounds: Bounds = SMALL
    tier: Literal["realtime", "control", ""] = "realtime"
    faces_network: bool = False
    writes_code: bool = False


SERVICES: Final = (
    Service(
        name=HAZELCAST, runs="member", module="dolphin_realtime.services.hazelcast.service", frame="own",
        is_watched=True, is_critical=True, is_needed_to_trade=True, asset="hazelcast",
        metrics_port=0, watchdog=3.0, start_timeout_s=360.0, stop_timeout_s=30.0, bounds=JVM,
        writes_code=True,
    ),  # meta health restarts a member that does not answer; the watchdog acts only later
    Service(name=REPLAY, runs="demo", module="dolphin_realtime.replay.service", frame="own"),
    Service(
        name=SCANNER, runs="marks", module="dolphin_realtime.services.scanner.service",
        frame="no grid", is_watched=True, is_needed_to_trade=True, asset="scanner", metrics_port=6,
        faces_network=True,
    ),
    Service(
        name=BRIDGE, module="dolphin_realtime.services.bridge.service",
        is_watched=True, is_critical=True, is_needed_to_trade=True, asset="bridge",
        metrics_port=1, waits_for=(HAZELCAST, REPLAY),
    ),
    Service(
        name=SAFETY, module="dolphin_realtime.services.safety.service",
        is_watched=True, is_critical=True, is_needed_to_trade=True, sees_alerts=True,
        asset="safety", metrics_port=2, waits_for=(HAZELCAST,),
    ),
    Service(
        name=ORDERBOOK, runs="orderbook", module="dolphin_realtime.services.orderbook.service",
        is_watched=True, asset="orderbook", metrics_port=3, waits_for=(HAZELCAST, REPLAY),
        faces_network=True,
    ),
    Service(
        name=TRADER, module="dolphin_realtime.services.trader.service",
        is_watched=True, is_critical=True, is_needed_to_trade=True, asset="trader_{}",
        metrics_port=TRADER_PORTS_FROM, waits_for=(BRIDGE, SAFETY), bounds=TRADING,
        faces_network=True,
    ),
    Service(
        name=META_HEALTH, module="dolphin_realtime.services.meta_health.service", sees_alerts=True,
        asset="meta_health", metrics_port=4, waits_for=(HAZELCAST,), tier="",
    ),
    Service(
        name=ALERTER, runs="alerts", module="dolphin_realtime.services.alerter.service", frame="no grid",
        metrics_port=5, watchdog=2.0, tier="", faces_network=True,
    ),
    Service(name=SETUP, runs="dagster", ready="exit", watchdog=0.0, bounds=WEB, tier="control"),
    Service(
        name=CODE, runs="dagster", sees_alerts=True, ready="port", watchdog=0.0,
        stop_timeout_s=20.0, waits_for=(SETUP,), niceness=10, bounds=RUNS, tier="control",
        faces_network=True,
    ),
    Service(
        name=WEBSERVER, runs="dagster", ready="/server_info", watchdog=0.0, waits_for=(CODE,),
        bounds=WEB, tier="control",
    ),
    Service(
        name=VIEWER, runs="viewer", ready="/server_info", watchdog=0.0, waits_for=(CODE,),
        bounds=WEB, tier="control",
    ),
    Service(
        name=DAEMON, runs="dagster", sees_alerts=True, ready="started", watchdog=0.0,
        waits_for=(CODE,), bounds=WEB, tier="control",
    ),
)  # fmt: skip


def trader_of(instance: str) -> str:
    """Return the name of an instance's trader."""
    return f"{TRADER}@{instance}"


def row_of(name: str) -> Service:
    """Return the row of a service, of a trader with or without its instance."""
    kind = name.partition("@")[0]
    return next(service for service in SERVICES if service.name == kind)


def stack(
    settings: Settings, *, is_demo: bool = False, with_dagster: bool = False
) -> dict[str, Service]:
    """Return the services of a stack by name, in the order of starting."""
    belongs = {
        "always": True,
        "member": settings.runs_member,
        "demo": is_demo,
        "marks": bool(settings.scanner_ws),
        "orderbook": bool(settings.orderbook_ws),
        "alerts": bool(settings.alerts_file),
        "dagster": with_dagster,
        "viewer": with_dagster and settings.viewer_port != 0,
    }
    found: dict[str, Service] = {}
    for service in SERVICES:
        if belongs[service.runs]:
            found |= dict.fromkeys(_names(service, settings), service)
    return found


def _names(service: Service, settings: Settings) -> list[str]:
    if service.name != TRADER:
        return [service.name]
    return [trader_of(instance) for instance in settings.instance_names]


def watched(settings: Settings) -> list[str]:
    """Return the services that meta health expects to run and to write heartbeats."""
    return [name for name, service in stack(settings).items() if service.is_watched]


def shown(settings: Settings) -> dict[str, str]:
    """Return the key of the Dagster asset that shows a service, by the service's name."""
    return {
        name: service.asset.format(name.partition("@")[2])
        for name, service in stack(settings).items()
        if service.asset
    }


def critical(settings: Settings) -> list[str]:
    """Return the critical services: M1 and M2 are never higher than the score of any of them."""
    return [name for name, service in stack(settings).items() if service.is_critical]


def is_needed_to_trade(name: str) -> bool:
    """Return whether no position is opened while a service is down; False for an unknown one."""
    kind = name.partition("@")[0]
    return any(service.name == kind and service.is_needed_to_trade for service in SERVICES)


def metrics_port(settings: Settings, name: str) -> int | None:
    """Return the port of a service's metrics, None if it has none or metrics are switched off."""
    kind, _, instance = name.partition("@")
    row = next((service for service in SERVICES if service.name == kind), None)
    if settings.metrics_port == 0 or row is None or row.metrics_port is None:
        return None
    if kind == TRADER and instance not in settings.instance_names:
        return None
    index = settings.instance_names.index(instance) if instance else 0
    return settings.metrics_port + row.metrics_port + index
