"""The service table: every process of a stack, in the order it is started.

Commands, readiness and time limits belong here; running them does not (managed.py).
"""

import sys
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import urlsplit

import msgspec
import yaml

from dolphin_realtime.model.errors import SettingsError
from dolphin_realtime.process import direct_loopback
from dolphin_realtime.settings import Settings

ROOT: Final = Path(__file__).resolve().parents[2]
"""The checkout: dagster.yaml lies there."""
PASSFILE: Final = "pgpass"
"""The secret that libpq takes a password from."""
LOCATION: Final = "dolphin"
HOST: Final = ("-h", "127.0.0.1")
MEMBER_PATIENCE: Final = 3.0
"""Meta health restarts a member that does not answer; its manager's watchdog comes after that."""


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """What a service may take under systemd; tasks are threads and processes together.

    Attributes:
        memory_mb: More and it is killed; from nine tenths of it on it is slowed down.
        cpu_percent: Of one processor.
    """

    memory_mb: int
    tasks: int
    cpu_percent: int


SMALL: Final = Bounds(memory_mb=512, tasks=50, cpu_percent=100)
TRADER: Final = Bounds(memory_mb=2048, tasks=50, cpu_percent=200)
JVM: Final = Bounds(memory_mb=1536, tasks=200, cpu_percent=200)
WEB: Final = Bounds(memory_mb=1024, tasks=100, cpu_percent=100)
RUNS: Final = Bounds(memory_mb=4096, tasks=300, cpu_percent=200)
"""The code server's, and of every Dagster run: they are its children."""


class Spec(msgspec.Struct, frozen=True, kw_only=True):
    """One service.

    Attributes:
        ready: notify (it says READY=1), exit (it ends with 0), or a URL path on ``port``.
        port: Loopback port it listens on, 0 for none; must be free at the start.
        watchdog_s: It must ping at least this often, 0 for never.
        waits_for: Services that must be ready before it is started.
        niceness: Added to its own and its children's: trading comes first.
        bounds: What it may take.
        tier: Its slice: realtime, control, or none of the two for who watches both.
        faces_network: It talks to hosts beyond this machine.
        writes_code: It makes code at run time, as a Java does.
        secrets: Files that root alone reads, by the name under which it finds their copies.
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


def realtime(settings: Settings, *, is_demo: bool) -> list[Spec]:
    """Return the realtime services in order."""
    grid = ["hazelcast"]
    source = [*grid, "replay"] if is_demo else grid
    specs = [_member(settings)]
    if is_demo:
        specs.append(_service(settings, "replay"))
    specs += [
        _service(settings, "bridge", waits_for=source),
        _service(settings, "safety", waits_for=grid),
    ]
    if settings.orderbook_ws:
        specs.append(_service(settings, "orderbook", waits_for=source, faces_network=True))
    specs += [
        _service(
            settings,
            f"trader@{instance}",
            waits_for=["bridge", "safety"],
            bounds=TRADER,
            faces_network=True,
        )
        for instance in settings.instance_names
    ]
    specs.append(_service(settings, "meta-health", waits_for=grid, tier=""))
    if settings.alerts_file:
        specs.append(_alerter(settings))
    return specs


def _service(settings: Settings, name: str, **fields: Any) -> Spec:
    """Return a service that `dolphin NAME` runs, of an instance where the name has one."""
    usual: dict[str, Any] = {
        "command": _dolphin(*name.split("@")),
        "watchdog_s": settings.watchdog_s,
    }
    return Spec(name=name, **(usual | fields))


def _alerter(settings: Settings) -> Spec:
    return _service(
        settings,
        "alerter",
        watchdog_s=2 * settings.watchdog_s,
        tier="",
        faces_network=True,
        secrets={"alerts": settings.alerts_file},
    )


def _member(settings: Settings) -> Spec:
    return _service(
        settings,
        "hazelcast",
        port=settings.hazelcast_port,
        watchdog_s=MEMBER_PATIENCE * settings.watchdog_s,
        start_timeout_s=360.0,
        stop_timeout_s=30.0,
        bounds=JVM,
        writes_code=True,
    )


def instance_folder(settings: Settings) -> Path:
    """Return DAGSTER_HOME: the checkout, or where `render_instance` is written."""
    return settings.run_dir / "dagster_home" if settings.postgres else ROOT


def render_instance(settings: Settings) -> str:
    """Return dagster.yaml with its storage in Postgres.

    Raises:
        SettingsError: If the address is none, or holds a password.
    """
    url = urlsplit(settings.postgres)
    if url.scheme != "postgresql" or not url.path.strip("/"):
        raise SettingsError("DOLPHIN_POSTGRES: not as in postgresql://user@127.0.0.1:5432/dagster")
    if url.password is not None or "password" in url.query.lower():
        raise SettingsError("DOLPHIN_POSTGRES holds a password: put it into a PGPASSFILE")
    config = yaml.safe_load((ROOT / "dagster.yaml").read_text())
    driver = url._replace(scheme="postgresql+psycopg2").geturl()
    config["storage"] = {"postgres": {"postgres_url": driver}}
    return str(yaml.safe_dump(config, sort_keys=False))


def dagster(settings: Settings, workspace: Path) -> list[Spec]:
    """Return the Dagster services in order: instance and pool limits first."""
    secrets = {PASSFILE: settings.postgres_passfile} if settings.postgres_passfile else {}
    return [msgspec.structs.replace(s, secrets=secrets) for s in _dagster(settings, workspace)]


def _webserver(settings: Settings, workspace: Path, *, is_viewer: bool) -> Spec:
    port = settings.viewer_port if is_viewer else settings.ui_port
    options = ["--read-only"] if is_viewer else []
    return Spec(
        name="dagster-viewer" if is_viewer else "dagster-webserver",
        command=_python(
            "dagster_webserver", *HOST, "-p", str(port), "-w", str(workspace), *options
        ),
        ready="/server_info",
        port=port,
        waits_for=["dagster-code"],
        bounds=WEB,
        tier="control",
    )


def _dagster(settings: Settings, workspace: Path) -> list[Spec]:
    viewer = [_webserver(settings, workspace, is_viewer=True)] if settings.viewer_port else []
    return [
        Spec(
            name="dagster-setup",
            command=[sys.executable, "-m", "dolphin_dagster.setup"],
            ready="exit",
            bounds=WEB,
            tier="control",
        ),
        Spec(
            name="dagster-code",
            command=_python(
                "dagster", "api", "grpc", "-m", "dolphin_dagster.definitions", *HOST,
                "-p", str(settings.code_port), "--location-name", LOCATION,
            ),
            ready="port",
            port=settings.code_port,
            waits_for=["dagster-setup"],
            stop_timeout_s=20.0,
            niceness=10,
            bounds=RUNS,
            tier="control",
            faces_network=True,
        ),
        _webserver(settings, workspace, is_viewer=False),
        *viewer,
        Spec(
            name="dagster-daemon",
            command=_python("dagster._daemon", "run", "-w", str(workspace)),
            ready="started",
            waits_for=["dagster-code"],
            bounds=WEB,
            tier="control",
        ),
    ]  # fmt: skip


def table(settings: Settings, *, is_demo: bool, with_dagster: bool) -> list[Spec]:
    """Return every service of a stack, in the order of starting."""
    specs = realtime(settings, is_demo=is_demo)
    return [*specs, *dagster(settings, workspace_file(settings))] if with_dagster else specs


def environment(settings: Settings, base: dict[str, str]) -> dict[str, str]:
    """Return the environment of every service: settings spelt out, Dagster's two homes."""
    return {
        **base,
        "DOLPHIN_HOME": str(settings.home),
        "DOLPHIN_HAZELCAST_PORT": str(settings.hazelcast_port),
        "DOLPHIN_UI_PORT": str(settings.ui_port),
        "DOLPHIN_CODE_PORT": str(settings.code_port),
        "DOLPHIN_DAGSTER_VAR": str(settings.home / "dagster"),
        "DAGSTER_HOME": str(instance_folder(settings)),
        "PYTHONUNBUFFERED": "1",
        **direct_loopback(base),
        **({"PGPASSFILE": settings.postgres_passfile} if settings.postgres_passfile else {}),
    }
