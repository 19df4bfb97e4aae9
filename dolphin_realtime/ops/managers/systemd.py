"""systemd as a service manager, through `systemctl`; needs neither root nor the process table.

The names of units belong here; their content does not (ops/systemd/unit.py). An unprivileged user
may read everything; the polkit rule says what it may start.
"""

import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from dolphin_realtime.model.errors import ServiceError
from dolphin_realtime.ops.managers.interface import ServiceStatus

PREFIX: Final = "dolphin-"
TARGET: Final = "dolphin.target"
ENVIRONMENT: Final = Path("/etc/dolphin/dolphin.env")
"""The file from which every unit reads its settings."""
QUICK_S: Final = 2.5
START_S: Final = 400.0
_SHOWN: Final = (
    "Id", "LoadState", "ActiveState", "SubState", "Result", "MainPID", "NRestarts",
    "MemoryCurrent", "StatusText", "StateChangeTimestampMonotonic",
)  # fmt: skip
_STATES: Final = {
    "active": "running",
    "activating": "starting",
    "deactivating": "stopping",
    "reloading": "running",
    "inactive": "stopped",
    "failed": "failed",
}
STOP_TOOK_TOO_LONG: Final = "timeout"


def unit_of(service: str) -> str:
    """Return the unit of a service: ``trader@BLUE`` is ``dolphin-trader@BLUE.service``."""
    return f"{PREFIX}{service}.service"


def is_booted() -> bool:
    """Return whether this machine was booted with systemd (sd_booted's rule)."""
    return Path("/run/systemd/system").is_dir()


def is_installed() -> bool:
    """Return whether systemd runs here and knows the stack's target."""
    if not is_booted():
        return False
    try:
        shown = _systemctl("show", "--property=LoadState", "--value", TARGET, timeout_s=QUICK_S)
    except ServiceError:
        return False
    return shown.strip() == "loaded"


def _systemctl(*words: str, timeout_s: float) -> str:
    command = ["systemctl", "--no-ask-password", "--no-pager", *words]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=timeout_s, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as e:
        raise ServiceError(f"{' '.join(command)}: {e}") from e
    if done.returncode:
        raise ServiceError(f"{' '.join(command)}: {done.stderr.strip() or done.returncode}")
    return done.stdout


def _number(text: str) -> int:
    return int(text) if text.isdigit() else 0


def status_of(shown: dict[str, str], now: datetime, monotonic_us: int) -> ServiceStatus:
    """Return a unit's status from what `systemctl show` says of it.

    With Restart=always systemd restarts every unit that dies, until the start limit, so an inactive
    unit was stopped by an operator. A unit whose stop timed out may have been, and counts as such.
    """
    active, result = shown["ActiveState"], shown["Result"]
    state = _STATES.get(active, active)
    is_down = state in ("stopped", "failed")
    if shown["SubState"] == "auto-restart":
        state = "backoff"
    changed_us = _number(shown["StateChangeTimestampMonotonic"])
    age_s = (monotonic_us - changed_us) / 1e6
    memory = _number(shown["MemoryCurrent"])
    return ServiceStatus(
        name=shown["Id"].removeprefix(PREFIX).removesuffix(".service"),
        state=state,
        pid=_number(shown["MainPID"]) or None,
        since=(now - timedelta(seconds=age_s)).isoformat(),
        age_s=age_s,
        restarts=_number(shown["NRestarts"]),
        rss_mb=round(memory / 1e6, 1) if memory else None,
        detail="" if result == "success" else result,
        said=shown["StatusText"],
        is_wanted=not is_down or (state == "failed" and result != STOP_TOOK_TOO_LONG),
    )


def environment() -> dict[str, str]:
    """Return the assignments of the units' environment file; empty if it cannot be read."""
    try:
        lines = ENVIRONMENT.read_text().splitlines()
    except OSError:
        return {}
    pairs = (line.split("=", 1) for line in lines if "=" in line and line[0] not in "#;")
    return {name.strip(): value.strip().strip("\"'") for name, value in pairs}


def keeps(home: Path) -> bool:
    """Return whether units are installed on this machine and use this home."""
    units_home = environment().get("DOLPHIN_HOME")
    return units_home is not None and Path(units_home) == home and is_installed()


def _blocks(text: str) -> list[dict[str, str]]:
    found = []
    for block in text.strip().split("\n\n"):
        pairs = [(key, value) for key, _, value in (x.partition("=") for x in block.splitlines())]
        found.append(dict(pairs))
    return found


class SystemdManager:
    """The units `dolphin-*.service` of this machine."""

    name = "systemd"

    def status(self) -> list[ServiceStatus]:
        """Return every service that the target wants."""
        wanted = _systemctl("show", "--property=Wants", "--value", TARGET, timeout_s=QUICK_S)
        names = [n for n in wanted.split() if n.startswith(PREFIX) and n.endswith(".service")]
        if not names:
            raise ServiceError(f"systemd knows no service of {TARGET}; {HINT}")
        text = _systemctl("show", f"--property={','.join(_SHOWN)}", *sorted(names),
                          timeout_s=QUICK_S)  # fmt: skip
        now, monotonic_us = datetime.now(UTC), time.monotonic_ns() // 1000
        units = [unit for unit in _blocks(text) if unit.get("LoadState") == "loaded"]
        return [status_of(unit, now, monotonic_us) for unit in units]

    def facts(self) -> dict[str, Any]:
        """Return nothing: the units' environment file holds the ports."""
        return {}

    def start(self, service: str, *, wait: bool) -> None:
        """Start a unit."""
        self._do("start", service, wait=wait)

    def stop(self, service: str) -> None:
        """Stop a unit; if it fails while stopping, it still counts as stopped."""
        self._do("stop", service, wait=True)
        self.reset_failed(service)

    def restart(self, service: str) -> None:
        """Restart a unit."""
        self._do("restart", service, wait=True)

    def try_restart(self, service: str) -> None:
        """Begin to restart a unit that runs."""
        self._do("try-restart", service, wait=False)

    def reset_failed(self, service: str) -> None:
        """Forget a unit's earlier starts, whether it failed or not."""
        _systemctl("reset-failed", unit_of(service), timeout_s=QUICK_S)

    def _do(self, verb: str, service: str, *, wait: bool) -> None:
        options = () if wait else ("--no-block",)
        _systemctl(verb, *options, unit_of(service), timeout_s=START_S if wait else QUICK_S)

    def log(self, service: str, lines: int, *, follow: bool) -> None:
        """Print a unit's journal."""
        command = ["journalctl", "-u", unit_of(service), "-n", str(lines), "-o", "cat"]
        try:
            subprocess.run([*command, *(["-f"] if follow else ["--no-pager"])], check=False)
        except KeyboardInterrupt:
            return
        except OSError as e:
            raise ServiceError(f"journalctl: {e}") from e


HINT: Final = "dolphin systemd install, then systemctl start dolphin.target"
