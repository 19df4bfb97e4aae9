"""All files of an installation, by their path, from the settings."""

import os
import sys
from pathlib import Path
from typing import Final

from dolphin_realtime.config.settings import Settings
from dolphin_realtime.grid.cluster import cluster_of
from dolphin_realtime.ops.managers.systemd import ENVIRONMENT, TARGET, unit_of
from dolphin_realtime.ops.runner import services
from dolphin_realtime.ops.runner.services import ROOT, Spec
from dolphin_realtime.ops.systemd import host
from dolphin_realtime.ops.systemd.unit import FIREWALL_UNIT, Place, file_name, render_unit

UNITS: Final = Path("/etc/systemd/system")
WORKSPACE: Final = ENVIRONMENT.parent / "workspace.yaml"
INSTANCE: Final = ENVIRONMENT.parent / "dagster"
"""DAGSTER_HOME if the storage is in Postgres."""
MANIFEST: Final = ENVIRONMENT.parent / "installed"
"""Files written and units installed, one per line; the next installation removes obsolete ones."""
_ENVIRONMENT: Final = """\
# Settings of every Dolphin unit, and of `dolphin` on this machine; docs/settings.md lists them.
# After a change of a port, the watchdog's time, the venue, DOLPHIN_INSTANCES, DOLPHIN_REALTIME_CPUS,
# DOLPHIN_ASSETS_MAX, DOLPHIN_GRID_*, DOLPHIN_FIREWALL or the home, also run `dolphin systemd install`.
DOLPHIN_HOME={home}
DOLPHIN_MANAGER=systemd
"""


def table_of(settings: Settings) -> list[Spec]:
    """Return the services and set-up steps that are installed: all except the replay."""
    return services.table(settings, is_demo=False, with_dagster=True, workspace=WORKSPACE)


def units_of(settings: Settings) -> list[str]:
    """Return the names of the services' units, each trader's own, and the firewall's."""
    units = [unit_of(s.name) for s in table_of(settings) if s.ready != "exit"]
    return [*units, *([FIREWALL_UNIT] if settings.firewall == "on" else [])]


def render(settings: Settings, place: Place) -> dict[Path, str]:
    """Return every file's text by its absolute path."""
    everything = table_of(settings)
    specs = [s for s in everything if s.ready != "exit"]
    cpus = settings.realtime_cpus
    cluster = cluster_of(settings)
    hosts = sorted({a.rpartition(":")[0] for a in cluster.addresses}) if cluster.is_spread else []
    files = {UNITS / file_name(s): render_unit(s, place, everything, cpus, hosts) for s in specs}
    files |= {UNITS / name: text for name, text in host.SLICES.items()}
    has_firewall = settings.firewall == "on"
    files[UNITS / TARGET] = host.render_target(specs, has_firewall=has_firewall)
    if has_firewall:
        files[UNITS / FIREWALL_UNIT] = host.render_firewall(place, sys.executable)
    files[UNITS / host.ALERT_UNIT] = host.render_alert(place, sys.executable)
    files[Path("/etc/polkit-1/rules.d/50-dolphin-mhs.rules")] = host.render_polkit(specs)
    files[Path("/etc/sysusers.d/dolphin.conf")] = host.render_users()
    files[Path("/etc/tmpfiles.d/dolphin.conf")] = host.render_folders(specs, place)
    files[WORKSPACE] = services.render_workspace(settings)
    if services.has_own_instance(settings):
        files[INSTANCE / "dagster.yaml"] = services.render_instance(settings)
    files[ENVIRONMENT] = _ENVIRONMENT.format(home=place.home)
    lines = [*(str(path) for path in files if path != ENVIRONMENT), *units_of(settings)]
    files[MANIFEST] = "\n".join(lines) + "\n"
    return files


def default_place(settings: Settings) -> Place:
    """Return the default paths: this checkout, and the folder of Dagster's configuration."""
    instance = INSTANCE if services.has_own_instance(settings) else ROOT
    return Place(root=ROOT if services.IS_CHECKOUT else Path("/"), instance=instance)


def write_below(root: Path, files: dict[Path, str]) -> list[Path]:
    """Write the files below a folder; an existing environment file is kept: it may be edited.

    All users may read them regardless of the umask: polkit and the services do not run as root.
    """
    written = []
    before = os.umask(0o022)
    try:
        for path, text in files.items():
            target = root / path.relative_to("/")
            if path == ENVIRONMENT and target.exists():
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
            target.chmod(0o644)
            written.append(target)
    finally:
        os.umask(before)
    return written


def leftovers(files: dict[Path, str], manifest: str) -> tuple[list[Path], list[str]]:
    """Return the files and units of an earlier installation that this one does not have."""
    now = set(files[MANIFEST].split())
    gone = [line for line in manifest.split() if line not in now]
    return [Path(g) for g in gone if g.startswith("/")], [g for g in gone if not g.startswith("/")]
