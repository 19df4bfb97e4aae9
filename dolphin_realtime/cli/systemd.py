"""`dolphin systemd`: render the units, install them on this machine, uninstall them."""

import os
from pathlib import Path

import click
import msgspec

from dolphin_realtime.cli.app import say
from dolphin_realtime.config.loading import load
from dolphin_realtime.config.settings import Settings
from dolphin_realtime.config.settings_file import apply_settings
from dolphin_realtime.model.errors import ServiceError, SettingsError
from dolphin_realtime.ops.managers.systemd import ENVIRONMENT, TARGET, environment
from dolphin_realtime.ops.systemd.install import (
    Step,
    is_running,
    refuse_where_impossible,
    steps_to_install,
    steps_to_uninstall,
)
from dolphin_realtime.ops.systemd.render import default_place, render, write_below
from dolphin_realtime.ops.systemd.unit import Place

_HOME = click.option(
    "--home",
    type=click.Path(path_type=Path),
    default=None,
    help="DOLPHIN_HOME of the units; default: the environment file's, else /var/lib/dolphin.",
)
_DRY = click.option("--dry-run", is_flag=True, help="Say what would be done, do nothing.")
USUAL_HOME = Path("/var/lib/dolphin")


@click.group()
def systemd() -> None:
    """Run the stack under systemd: hardened units, limits, watchdogs, one target."""


def _settings() -> Settings:
    """Return the settings of the units' environment file; the environment takes precedence."""
    env = {**environment(), **os.environ}
    apply_settings(env)
    return load(env)


def _place(home: Path | None) -> Place:
    """Return the paths that the units use.

    Raises:
        SettingsError: If the home is not that of the environment file, which the units read.
    """
    kept = environment().get("DOLPHIN_HOME")
    if home is not None and kept is not None and Path(kept) != home:
        raise SettingsError(
            f"{ENVIRONMENT} has DOLPHIN_HOME={kept}, not {home}; change it there first"
        )
    return msgspec.structs.replace(
        default_place(_settings()), home=home or Path(kept or USUAL_HOME)
    )


@systemd.command("render")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder to write to.")
@_HOME
def render_units(out: Path, home: Path | None) -> None:
    """Write every unit, the polkit rule, users and folders below a folder.

    \b
    Example: dolphin systemd render --out /tmp/units
    """
    for path in write_below(out, render(_settings(), _place(home))):
        say(str(path))


def _refuse(*, dry_run: bool) -> None:
    try:
        refuse_where_impossible(_settings())
    except ServiceError as e:
        if not dry_run:
            raise
        say(f"would be refused: {e}", fg="yellow")


def _take(steps: list[Step], *, dry_run: bool) -> None:
    for words, do in steps:
        say(f"{'would ' if dry_run else ''}{words}")
        if not dry_run:
            do()


@systemd.command("install")
@_HOME
@_DRY
def install(home: Path | None, dry_run: bool) -> None:
    """Install the units of this checkout on this machine; run it again after an upgrade.

    Units of an earlier installation that this one lacks are stopped and removed.

    \b
    Example: sudo .venv/bin/dolphin systemd install --dry-run
    """
    _refuse(dry_run=dry_run)
    _take(steps_to_install(_settings(), _place(home)), dry_run=dry_run)
    if not dry_run:
        verb = "restart" if is_running() else "start"
        say(f"next: systemctl {verb} {TARGET}; dolphin status")


@systemd.command("uninstall")
@_HOME
@_DRY
def uninstall(home: Path | None, dry_run: bool) -> None:
    """Stop the stack and remove its units; state, settings, keys and users stay."""
    _refuse(dry_run=dry_run)
    _take(steps_to_uninstall(_settings(), _place(home)), dry_run=dry_run)
