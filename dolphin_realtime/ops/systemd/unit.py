"""One service's unit, from its row in the service table.

What all units have in common belongs in hardening.py. docs/adr/0012 gives the reasons.
"""

from pathlib import Path
from typing import Final

import msgspec

from dolphin_realtime.config.live import PREFIX as LIVE
from dolphin_realtime.infra.process import direct_loopback
from dolphin_realtime.model.health.recovery import OBSERVER
from dolphin_realtime.ops.managers.systemd import ENVIRONMENT, PREFIX, TARGET, unit_of
from dolphin_realtime.ops.runner.services import PASSFILE, Spec
from dolphin_realtime.ops.systemd.hardening import HARDENING

USER: Final = "dolphin"
OBSERVER_USER: Final = "dolphin-mhs"
CREDENTIALS: Final = Path("/etc/dolphin/credentials")
VENUE_KEYS: Final = ("trade_key", "read_key")
START_LIMIT_S: Final = 60
START_LIMIT_BURST: Final = 3
RESTART_S: Final = 5
HIGH_SHARE: Final = 0.9
TRADER: Final = "trader@"
FIREWALL_UNIT: Final = f"{PREFIX}firewall.service"


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """The paths of a stack on a server.

    Attributes:
        home: DOLPHIN_HOME of the units.
        root: The checkout.
        instance: DAGSTER_HOME: where dagster.yaml lies.
        cache: What checkouts may share: the member's jar.
    """

    home: Path = Path("/var/lib/dolphin")
    root: Path
    instance: Path
    cache: Path = Path("/var/cache/dolphin")


def file_name(spec: Spec) -> str:
    """Return the unit's file: all traders share one template."""
    return f"{PREFIX}{TRADER}.service" if spec.name.startswith(TRADER) else unit_of(spec.name)


def render_unit(
    spec: Spec, place: Place, others: list[Spec], cpus: str = "", members: list[str] | None = None
) -> str:
    """Return the unit's text.

    Args:
        spec: The service.
        place: The stack's paths.
        others: The services to order after, and the set-up steps.
        cpus: Processors of the realtime services; empty: any.
        members: Other hosts' addresses of members of the grid, which every service may reach.
    """
    members = members or []
    names = [s.name for s in others if s.ready != "exit"]
    steps = [s for s in others if s.ready == "exit" and s.tier == spec.tier]
    sections = {
        "Unit": _unit(spec, names),
        "Service": [
            *_service(spec, place, steps),
            *_bounds(spec),
            *([f"CPUAffinity={cpus}"] if cpus and spec.tier == "realtime" else []),
            *_confinement(spec, place, members),
            HARDENING,
        ],
        "Install": [f"WantedBy={TARGET}"],
    }
    return "\n".join(f"[{name}]\n" + "\n".join(lines) + "\n" for name, lines in sections.items())


def _unit(spec: Spec, names: list[str]) -> list[str]:
    """Use After= without Wants=: else a restart would start what an operator has stopped."""
    waits_for = [unit_of(name) for name in spec.waits_for if name in names]
    lines = [f"Description=Dolphin {_words(spec)}", f"PartOf={TARGET}"]
    lines += ["Wants=network-online.target"]
    storage = ["postgresql.service"] if spec.tier == "control" else []
    after = ["network-online.target", "time-sync.target", FIREWALL_UNIT, *storage, *waits_for]
    lines += [f"After={' '.join(after)}"]
    slowest_s = START_LIMIT_BURST * (spec.start_timeout_s + RESTART_S)
    interval_s = START_LIMIT_S if spec.ready == "notify" else slowest_s
    lines += [f"StartLimitIntervalSec={interval_s:.0f}", f"StartLimitBurst={START_LIMIT_BURST}"]
    return [*lines, f"OnFailure={PREFIX}alert@%n.service"]


def _words(spec: Spec) -> str:
    return "trader %i" if spec.name.startswith(TRADER) else spec.name.replace("-", " ")


def _command(spec: Spec) -> str:
    words = list(spec.command)
    if spec.name.startswith(TRADER):
        words[-1] = "%i"
    return " ".join(words)


def _service(spec: Spec, place: Place, steps: list[Spec]) -> list[str]:
    lines = [f"Type={'notify' if spec.ready == 'notify' else 'exec'}"]
    if spec.ready == "notify":
        lines += ["NotifyAccess=main", f"WatchdogSec={spec.watchdog_s * 1000:.0f}ms"]
    lines += ["Restart=always", f"RestartSec={RESTART_S}"]
    if PASSFILE in spec.secrets:  # libpq refuses group-readable files, as credentials may be
        folder = f"{PREFIX}{spec.name}"
        lines += [f"RuntimeDirectory={folder}", "RuntimeDirectoryMode=0700"]
        lines += [f"ExecStartPre=/usr/bin/install -m 600 %d/{PASSFILE} %t/{folder}/{PASSFILE}"]
    lines += [f"ExecStartPre={' '.join(step.command)}" for step in steps]
    lines += [f"ExecStart={_command(spec)}"]
    if spec.ready == "port" or spec.ready.startswith("/"):
        path = "" if spec.ready == "port" else f" {spec.ready}"
        waiter = f"{spec.command[0]} -m dolphin_realtime.ops.systemd.await_port"
        lines += [f"ExecStartPost={waiter} $MAINPID {spec.port}{path}"]
    lines += [f"WorkingDirectory={place.root}", f"EnvironmentFile=-{ENVIRONMENT}"]
    lines += [f"Environment={name}={value}" for name, value in _environment(place).items()]
    if spec.name.startswith(TRADER):
        lines += [
            f"EnvironmentFile=-{ENVIRONMENT.parent}/%i.env",
            *(f"LoadCredential={key}:{CREDENTIALS}/{key}.%i" for key in VENUE_KEYS),
            *(f"Environment={LIVE}{k.upper()}_FILE=%d/{k}" for k in VENUE_KEYS),
        ]
    lines += [f"LoadCredential={name}:{path}" for name, path in spec.secrets.items()]
    if PASSFILE in spec.secrets:
        lines += [f"Environment=PGPASSFILE=%t/{PREFIX}{spec.name}/{PASSFILE}"]
    lines += [f"TimeoutStartSec={spec.start_timeout_s:.0f}", "TimeoutAbortSec=10"]
    lines += [f"TimeoutStopSec={max(spec.stop_timeout_s, 30):.0f}", "KillMode=mixed"]
    return [*lines, f"SyslogIdentifier={PREFIX}{_words(spec).replace(' ', '-')}"]


def _environment(place: Place) -> dict[str, str]:
    return {
        "DOLPHIN_HOME": str(place.home),
        "DOLPHIN_MANAGER": "systemd",
        "DOLPHIN_DAGSTER_VAR": str(place.home / "dagster"),
        "DAGSTER_HOME": str(place.instance),
        "XDG_CACHE_HOME": str(place.cache),
        "PYTHONUNBUFFERED": "1",
        "PYTHONSAFEPATH": "1",
        **direct_loopback({}),
    }


def _bounds(spec: Spec) -> list[str]:
    bounds = spec.bounds
    inner = f"-{spec.tier}" if spec.tier else ""
    lines = [
        f"Slice=dolphin{inner}.slice",
        f"MemoryMax={bounds.memory_mb}M",
        "MemorySwapMax=0",
        f"CPUQuota={bounds.cpu_percent}%",
        f"TasksMax={bounds.tasks}",
        f"OOMPolicy={'continue' if bounds.outlives_oom else 'stop'}",
        "LimitCORE=0",
    ]
    if not bounds.outlives_oom:  # throttling would slow the service down with the greedy child
        lines += [f"MemoryHigh={bounds.memory_mb * HIGH_SHARE:.0f}M"]
    if spec.tier == "realtime":
        lines += ["OOMScoreAdjust=-200"]
    if spec.niceness:
        lines += [f"Nice={spec.niceness}"]
    return lines


def _confinement(spec: Spec, place: Place, members: list[str]) -> list[str]:
    is_observer = spec.name == OBSERVER
    lines = [f"User={OBSERVER_USER if is_observer else USER}", f"Group={USER}"]
    own = (place.home / "health", place.home / "run_logs") if is_observer else (place.home,)
    lines += [f"ReadWritePaths={' '.join(map(str, own))}"]
    if not spec.writes_code:
        lines += ["MemoryDenyWriteExecute=yes"]
    if not spec.faces_network:
        lines += ["IPAddressDeny=any", f"IPAddressAllow={' '.join(['localhost', *members])}"]
    return lines
