"""All files of an installation, by their path, from the settings."""

import sys
from pathlib import Path
from typing import Final

from dolphin_realtime.managers.systemd import ENVIRONMENT, TARGET
from dolphin_realtime.runner import services
from dolphin_realtime.runner.services import ROOT, Spec
from dolphin_realtime.settings import Settings
from dolphin_realtime.systemd import host
from dolphin_realtime.systemd.unit import Place, file_name, render_unit

UNITS: Final = Path("/etc/systemd/system")
WORKSPACE: Final = ENVIRONMENT.parent / "workspace.yaml"
_ENVIRONMENT: Final = """\
# Settings of every Dolphin unit, and of `dolphin` on this machine; docs/settings.md lists them.
# A change of a port or of DOLPHIN_INSTANCES also takes `dolphin systemd install`.
DOLPHIN_HOME={home}
DOLPHIN_MANAGER=systemd
"""


def table_of(settings: Settings) -> list[Spec]:
    """Return the services that are installed: all but the replay."""
    specs = services.realtime(settings, is_demo=False)
    return [*specs, *services.dagster(settings, WORKSPACE)]


def render(settings: Settings, place: Place) -> dict[Path, str]:
    """Return every file's text by its absolute path."""
    specs = table_of(settings)
    names = [s.name for s in specs]
    files = {UNITS / file_name(s): render_unit(s, place, names) for s in specs}
    files |= {UNITS / name: text for name, text in host.SLICES.items()}
    files[UNITS / TARGET] = host.render_target(specs)
    files[UNITS / host.ALERT_UNIT] = host.render_alert(place, sys.executable)
    files[UNITS / host.DROP_IN] = host.HARDENING
    files[Path("/etc/polkit-1/rules.d/50-dolphin-mhs.rules")] = host.render_polkit(specs)
    files[Path("/etc/sysusers.d/dolphin.conf")] = host.render_users()
    files[Path("/etc/tmpfiles.d/dolphin.conf")] = host.render_folders(specs, place)
    files[WORKSPACE] = services.render_workspace(settings)
    files[ENVIRONMENT] = _ENVIRONMENT.format(home=place.home)
    return files


def default_place() -> Place:
    """Return where the units find this checkout."""
    return Place(root=ROOT)


def write_below(root: Path, files: dict[Path, str]) -> list[Path]:
    """Write the files below a folder; an environment file that is there is a person's: kept."""
    written = []
    for path, text in files.items():
        target = root / path.relative_to("/")
        if path == ENVIRONMENT and target.exists():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        written.append(target)
    return written
