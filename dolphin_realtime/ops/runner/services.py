"""Turns the rows of the service table into processes: command, port, secrets, environment.

What is fixed for a service is in config/services.py; running it belongs in managed.py.
"""

import sys
from pathlib import Path
from typing import Final, Literal
from urllib.parse import urlsplit

import msgspec
import yaml

from dolphin_realtime.config.services import (
    ALERTER,
    CODE,
    DAEMON,
    HAZELCAST,
    SETUP,
    SMALL,
    VIEWER,
    WEBSERVER,
    Bounds,
    Service,
    stack,
)
from dolphin_realtime.config.settings import Settings
from dolphin_realtime.grid.member.size import heap_mb
from dolphin_realtime.infra.extras import need
from dolphin_realtime.infra.process import direct_loopback
from dolphin_realtime.model.errors import SettingsError

ROOT: Final = Path(__file__).resolve().parents[3]
"""The checkout, or the folder of an installed package."""
IS_CHECKOUT: Final = (ROOT / "dagster.yaml").is_file()
"""Whether DAGSTER_HOME can be the checkout; an installed package has its own copy of dagster.yaml."""
INSTANCE_FILE: Final = Path(__file__).with_name("dagster.yaml")
PASSFILE: Final = "pgpass"
"""Name of the secret file from which libpq reads the password."""
LOCATION: Final = "dolphin"
HOST: Final = ("-h", "127.0.0.1")
BESIDE_HEAP_MB: Final = 512
"""For the member's classes, compiled code, buffers and threads, and for the process that starts it."""


class Spec(msgspec.Struct, frozen=True, kw_only=True):
    """One service.

    Attributes:
        ready: notify (it says READY=1), exit (it ends with 0), port (it listens), started, or a
            URL path on ``port``.
        port: Loopback port it listens on, 0 for none; must be free at the start.
        watchdog_s: It must ping at least this often; 0: no watchdog.
        waits_for: Services that must be ready before it is started.
        niceness: Added to its niceness and its children's: trading comes first.
        bounds: Its resource limits under systemd.
        tier: Its slice: realtime, control, or empty for a service that watches both.
        faces_network: It talks to hosts beyond this machine.
        writes_code: It generates code at run time, as a JVM does.
        secrets: Paths of secret files that only root can read, by the name of the service's copy.
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
    bounds: Bounds = SMALL
    tier: Literal["realtime", "control", ""] = "realtime"
    faces_network: bool = False
    writes_code: bool = False
    secrets: dict[str, str] = {}


def _dolphin(*args: str) -> list[str]:
    return [sys.executable, "-m", "dolphin_realtime.cli", "service", *args]


def _python(module: str, *args: str) -> list[str]:
    return [sys.executable, "-m", module, *args]


def workspace_file(settings: Settings) -> Path:
    """Return the workspace that points at the stack's own code server."""
    return settings.run_dir / "workspace.yaml"


def render_workspace(settings: Settings) -> str:
    """Return a workspace with the root workspace's location name, served over gRPC."""
    return (
        "load_from:\n  - grpc_server:\n      host: 127.0.0.1\n"
        f"      port: {settings.code_port}\n      location_name: {LOCATION}\n"
    )


def _spec(
    service: Service, name: str, settings: Settings, workspace: Path, kinds: set[str]
) -> Spec:
    """Return how a row of the service table is run under these settings.

    ``kinds`` holds the names of all rows of the stack; dependencies on other rows are dropped.
    """
    return Spec(
        name=name,
        command=_command(service, name, settings, workspace),
        ready=service.ready,
        port=_ports(settings).get(service.name, 0),
        waits_for=[other for other in service.waits_for if other in kinds],
        watchdog_s=service.watchdog * settings.watchdog_s,
        start_timeout_s=service.start_timeout_s,
        stop_timeout_s=service.stop_timeout_s,
        niceness=service.niceness,
        bounds=_bounds(service, settings),
        tier=service.tier,
        faces_network=service.faces_network,
        writes_code=service.writes_code,
        secrets=_secrets(service, settings),
    )


def _bounds(service: Service, settings: Settings) -> Bounds:
    """Return a service's limits; the member's memory grows with a heap that was set larger."""
    if service.name != HAZELCAST:
        return service.bounds
    needed_mb = heap_mb(settings) + BESIDE_HEAP_MB
    memory_mb = max(service.bounds.memory_mb, needed_mb)
    return msgspec.structs.replace(service.bounds, memory_mb=memory_mb)


def _ports(settings: Settings) -> dict[str, int]:
    return {
        HAZELCAST: settings.hazelcast_port,
        CODE: settings.code_port,
        WEBSERVER: settings.ui_port,
        VIEWER: settings.viewer_port,
    }


def _secrets(service: Service, settings: Settings) -> dict[str, str]:
    if service.name == ALERTER:
        return {"alerts": settings.alerts_file}
    needs_password = service.tier == "control" and settings.postgres_passfile
    return {PASSFILE: settings.postgres_passfile} if needs_password else {}


def _command(service: Service, name: str, settings: Settings, workspace: Path) -> list[str]:
    if service.module:
        return _dolphin(*name.split("@"))
    viewer = ["--read-only"] if service.name == VIEWER else []
    port = str(_ports(settings).get(service.name, 0))
    programs = {
        SETUP: ("dolphin_dagster.instance.setup",),
        CODE: ("dagster", "api", "grpc", "-m", "dolphin_dagster.definitions", *HOST, "-p", port,
               "--location-name", LOCATION),
        DAEMON: ("dagster._daemon", "run", "-w", str(workspace)),
    }  # fmt: skip
    web = ("dolphin_dagster.ui", *HOST, "-p", port, "-w", str(workspace), *viewer)
    return _python(*programs.get(service.name, web))


def instance_folder(settings: Settings) -> Path:
    """Return DAGSTER_HOME: the checkout, or where `render_instance` is written."""
    return settings.run_dir / "dagster_home" if has_own_instance(settings) else ROOT


def has_own_instance(settings: Settings) -> bool:
    """Return whether DAGSTER_HOME is a folder of the stack's own, with a dagster.yaml of its own."""
    return bool(settings.postgres) or not IS_CHECKOUT


def render_instance(settings: Settings) -> str:
    """Return dagster.yaml, with its storage in Postgres if that is set.

    Raises:
        SettingsError: If the address is malformed, or holds a password.
    """
    if not settings.postgres:
        return INSTANCE_FILE.read_text()
    url = urlsplit(settings.postgres)
    if url.scheme != "postgresql" or not url.path.strip("/"):
        raise SettingsError("DOLPHIN_POSTGRES: not as in postgresql://user@127.0.0.1:5432/dagster")
    if url.password is not None or "password" in url.query.lower():
        raise SettingsError("DOLPHIN_POSTGRES holds a password: put it into a PGPASSFILE")
    need("dagster_postgres", "postgres", "DOLPHIN_POSTGRES")
    config = yaml.safe_load(INSTANCE_FILE.read_text())
    driver = url._replace(scheme="postgresql+psycopg2").geturl()
    config["storage"] = {"postgres": {"postgres_url": driver}}
    return str(yaml.safe_dump(config, sort_keys=False))


def table(
    settings: Settings, *, is_demo: bool, with_dagster: bool, workspace: Path | None = None
) -> list[Spec]:
    """Return every service of a stack, in the order of starting.

    Args:
        settings: Settings of the stack.
        is_demo: Whether the replay belongs to it.
        with_dagster: Whether Dagster's services belong to it.
        workspace: Workspace file that points Dagster at the code server; None: the home's own.
    """
    rows = stack(settings, is_demo=is_demo, with_dagster=with_dagster)
    kinds = {row.name for row in rows.values()}
    where = workspace or workspace_file(settings)
    return [_spec(row, name, settings, where, kinds) for name, row in rows.items()]


def environment(settings: Settings, base: dict[str, str]) -> dict[str, str]:
    """Return the environment of every service: explicit home and ports, Dagster's two folders.

    Modules come from the installation alone, never from the folder in which the stack was started.
    """
    return {
        **base,
        "DOLPHIN_HOME": str(settings.home),
        "DOLPHIN_HAZELCAST_PORT": str(settings.hazelcast_port),
        "DOLPHIN_UI_PORT": str(settings.ui_port),
        "DOLPHIN_CODE_PORT": str(settings.code_port),
        "DOLPHIN_DAGSTER_VAR": str(settings.home / "dagster"),
        "DAGSTER_HOME": str(instance_folder(settings)),
        "PYTHONUNBUFFERED": "1",
        "PYTHONSAFEPATH": "1",
        **direct_loopback(base),
        **({"PGPASSFILE": settings.postgres_passfile} if settings.postgres_passfile else {}),
    }
