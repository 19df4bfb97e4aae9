"""Installs the units on this machine and removes them, in steps that a dry run can list first."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from dolphin_realtime.config.settings import Settings
from dolphin_realtime.grid.member.jar import cached_jar, ensure_jar, install_jar
from dolphin_realtime.model.errors import ServiceError
from dolphin_realtime.ops.firewall import DOOR, OPERATORS
from dolphin_realtime.ops.managers.systemd import ENVIRONMENT, TARGET, is_booted
from dolphin_realtime.ops.runner.services import ROOT
from dolphin_realtime.ops.systemd.render import (
    MANIFEST,
    leftovers,
    render,
    units_of,
    write_below,
)
from dolphin_realtime.ops.systemd.unit import FIREWALL_UNIT, Place

Step = tuple[str, Callable[[], None]]
HIDDEN: Final = tuple(map(Path, ("/root", "/home", "/run/user", "/tmp", "/var/tmp")))  # noqa: S108
"""What ProtectHome and PrivateTmp hide from every unit."""
NFT: Final = Path("/usr/sbin/nft")
POLKIT: Final = (Path("/usr/lib/polkit-1/polkitd"), Path("/usr/libexec/polkitd"))


def steps_to_install(settings: Settings, place: Place) -> list[Step]:
    """Return the steps of an installation, in order, each with a description."""
    files = render(settings, place)
    old_files, old_units = leftovers(files, _manifest())
    steps: list[Step] = []
    if old_units:
        steps += [(f"stop {', '.join(old_units)}", lambda: _stop(old_units))]
    if old_files:
        steps += [(f"remove {', '.join(map(str, old_files))}", lambda: _remove(old_files))]
    return [
        *steps,
        (f"write {', '.join(map(str, files))}", lambda: _write(files)),
        ("create the users", lambda: _run("systemd-sysusers", "dolphin.conf")),
        ("create the folders", lambda: _run("systemd-tmpfiles", "--create", "dolphin.conf")),
        (f"see that the member's jar is in {place.cache}", lambda: _put_jar(settings, place)),
        ("have systemd read its units", lambda: _run("systemctl", "daemon-reload")),
        *_firewall_steps(settings),
        (f"start {TARGET} at boot", lambda: _run("systemctl", "enable", TARGET)),
    ]


def _firewall_steps(settings: Settings) -> list[Step]:
    """Load the rules at once: an installation without a start must not leave the ports open."""
    if settings.firewall == "off":
        return []
    words = f"load the firewall's rules for the members of {OPERATORS} and {DOOR}"
    return [(words, lambda: _run("systemctl", "reload-or-restart", FIREWALL_UNIT))]


def steps_to_uninstall(settings: Settings, place: Place) -> list[Step]:
    """Return the steps that remove the units; state, settings, keys and users stay."""
    files = render(settings, place)
    old_files, old_units = leftovers(files, _manifest())
    units = [*units_of(settings), *old_units]
    paths = [*(p for p in files if p != ENVIRONMENT), *old_files]
    return [
        (f"stop {', '.join(units)}", lambda: _stop([*units, TARGET])),
        (f"no longer start {TARGET} at boot", lambda: _quietly("systemctl", "disable", TARGET)),
        (f"remove {', '.join(map(str, paths))}", lambda: _remove(paths)),
        ("have systemd read its units", lambda: _run("systemctl", "daemon-reload")),
    ]


def refuse_where_impossible(settings: Settings) -> None:
    """Raise if units cannot be installed, or could not run.

    Raises:
        ServiceError: If the user is not root, systemd, polkit or nftables is missing, or the checkout
            or its Python lies in a folder that is hidden from units.
    """
    if os.geteuid() != 0:
        raise ServiceError("units are installed by root: sudo dolphin systemd install")
    if not is_booted():
        raise ServiceError(
            "this machine was not booted with systemd; dolphin systemd render --out DIR writes "
            "the units, dolphin up runs a stack without it"
        )
    if not any(path.exists() for path in POLKIT):
        raise ServiceError(
            "polkit is not installed; without it meta health cannot restart any service: "
            "apt-get install polkitd"
        )
    if settings.firewall == "on" and not NFT.exists():
        raise ServiceError(
            "nftables is not installed; without it every local user can write scans and postures into "
            "the grid: apt-get install nftables, or set DOLPHIN_FIREWALL=off"
        )
    for path in hidden((ROOT, Path(sys.executable), Path(sys.base_prefix))):
        raise ServiceError(
            f"{path} is hidden from the units (ProtectHome, PrivateTmp); put the checkout and a "
            "Python that every user may read elsewhere, e.g. /opt/dolphin, and make .venv there"
        )


def hidden(paths: tuple[Path, ...]) -> list[Path]:
    """Return those of the paths that the units cannot see."""
    return [p for p in paths if any(p.resolve().is_relative_to(place) for place in HIDDEN)]


def is_running() -> bool:
    """Return whether the stack's target is up; an installation does not restart it."""
    return subprocess.run(["systemctl", "is-active", "-q", TARGET], check=False).returncode == 0


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ServiceError(f"{' '.join(command)}: {done.stderr.strip() or done.returncode}")


def _quietly(*command: str) -> None:
    """Run a command and ignore failure: an earlier, interrupted uninstall may have done it."""
    subprocess.run(command, capture_output=True, check=False)


def _stop(units: list[str]) -> None:
    """Stop units and wait: a unit's file must not be removed while it stops."""
    _quietly("systemctl", "stop", *units)


def _manifest() -> str:
    return MANIFEST.read_text() if MANIFEST.is_file() else ""


def _write(files: dict[Path, str]) -> None:
    write_below(Path("/"), files)


def _remove(files: list[Path]) -> None:
    for path in files:
        path.unlink(missing_ok=True)


def _put_jar(settings: Settings, place: Place) -> None:
    """Verify the configured jar, or fetch one into the units' cache if none is configured.

    Only root may write there: what a service could plant would be followed by root's hand.
    """
    if settings.hazelcast_jar:
        ensure_jar(settings.hazelcast_jar, settings.maven_base)
        return
    jar, folder = ensure_jar("", settings.maven_base), place.cache / "dolphin"
    if folder.is_symlink():
        folder.unlink()
    elif (
        folder.exists() and folder.stat().st_uid != 0
    ):  # an earlier version gave it to the services
        shutil.rmtree(folder)
    before = os.umask(0o022)
    try:
        install_jar(jar, cached_jar(folder))
    finally:
        os.umask(before)
