"""Putting the units on this machine, and taking them off; each step can be shown undone first."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from dolphin_realtime.managers.systemd import ENVIRONMENT, TARGET, is_booted
from dolphin_realtime.member.fetch import VERSION, ensure_jar
from dolphin_realtime.model.errors import ServiceError
from dolphin_realtime.settings import Settings
from dolphin_realtime.systemd.host import DROP_IN
from dolphin_realtime.systemd.render import UNITS, render, write_below
from dolphin_realtime.systemd.unit import USER, Place

Step = tuple[str, Callable[[], None]]


def steps_to_install(settings: Settings, place: Place) -> list[Step]:
    """Return what an installation does, in order, each with its words."""
    files = render(settings, place)
    named = ", ".join(str(p) for p in files)
    jar = place.cache / "dolphin" / "hazelcast" / VERSION / f"hazelcast-{VERSION}.jar"
    return [
        (f"write {named}", lambda: _write(files)),
        ("create the users", lambda: _run("systemd-sysusers", "dolphin.conf")),
        ("create the folders", lambda: _run("systemd-tmpfiles", "--create", "dolphin.conf")),
        (f"put the member's jar at {jar}", lambda: _put_jar(settings, jar)),
        ("have systemd read its units", lambda: _run("systemctl", "daemon-reload")),
        (f"start {TARGET} at boot", lambda: _run("systemctl", "enable", TARGET)),
    ]


def steps_to_uninstall(settings: Settings, place: Place) -> list[Step]:
    """Return what takes the units off again; state, settings, keys and users stay."""
    files = [p for p in render(settings, place) if p != ENVIRONMENT]
    named = ", ".join(str(p) for p in files)
    return [
        (f"stop {TARGET}", lambda: _run("systemctl", "disable", "--now", TARGET)),
        (f"remove {named}", lambda: _remove(files)),
        ("have systemd read its units", lambda: _run("systemctl", "daemon-reload")),
    ]


def refuse_where_impossible() -> None:
    """Raise where units cannot be installed.

    Raises:
        ServiceError: If this is not root, or systemd does not run here.
    """
    if os.geteuid() != 0:
        raise ServiceError("units are installed by root: sudo dolphin systemd install")
    if not is_booted():
        raise ServiceError(
            "this machine was not booted with systemd; dolphin systemd render --out DIR writes "
            "the units, dolphin up runs a stack without it"
        )


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ServiceError(f"{' '.join(command)}: {done.stderr.strip() or done.returncode}")


def _write(files: dict[Path, str]) -> None:
    write_below(Path("/"), files)


def _remove(files: list[Path]) -> None:
    for path in files:
        path.unlink(missing_ok=True)
    folder = UNITS / Path(DROP_IN).parent
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def _put_jar(settings: Settings, jar: Path) -> None:
    if not jar.is_file():
        jar.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ensure_jar(settings.hazelcast_jar, settings.maven_base), jar)
        for path in (jar, *list(jar.parents)[:3]):
            shutil.chown(path, USER, USER)
