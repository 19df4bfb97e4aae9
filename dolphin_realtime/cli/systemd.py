"""`dolphin systemd`: render the units, put them on this machine, take them off."""

import os
from pathlib import Path

import click
import msgspec

from dolphin_realtime.cli.app import say
from dolphin_realtime.cli.running import read_environment
from dolphin_realtime.managers.systemd import ENVIRONMENT, TARGET
from dolphin_realtime.settings import Settings, load
from dolphin_realtime.systemd.install import (
    Step,
    refuse_where_impossible,
    steps_to_install,
    steps_to_uninstall,
)
from dolphin_realtime.systemd.render import default_place, render, write_below
from dolphin_realtime.systemd.unit import Place

_HOME = click.option(
    "--home",
    type=click.Path(path_type=Path),
    default=Path("/var/lib/dolphin"),
    show_default=True,
    help="DOLPHIN_HOME of the units.",
)
_DRY = click.option("--dry-run", is_flag=True, help="Say what would be done, do nothing.")


@click.group()
def systemd() -> None:
    """Run the stack under systemd: hardened units, limits, watchdogs, one target."""


def _settings() -> Settings:
    """Return the settings of the units' environment file; what the environment sets holds."""
    return load({**read_environment(ENVIRONMENT), **os.environ})


def _place(home: Path) -> Place:
    return msgspec.structs.replace(default_place(), home=home)


@systemd.command("render")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder to write to.")
@_HOME
def render_units(out: Path, home: Path) -> None:
    """Write every unit, the polkit rule, users and folders below a folder.

    \b
    Example: dolphin systemd render --out /tmp/units
    """
    written = write_below(out, render(_settings(), _place(home)))
    for path in written:
        say(str(path))


def _take(steps: list[Step], *, dry_run: bool) -> None:
    for words, do in steps:
        say(f"{'would ' if dry_run else ''}{words}")
        if not dry_run:
            do()


@systemd.command("install")
@_HOME
@_DRY
def install(home: Path, dry_run: bool) -> None:
    """Install the units of this checkout for this machine; run it again after an upgrade.

    \b
    Example: sudo .venv/bin/dolphin systemd install --dry-run
    """
    if not dry_run:
        refuse_where_impossible()
    _take(steps_to_install(_settings(), _place(home)), dry_run=dry_run)
    if not dry_run:
        say(f"next: systemctl start {TARGET}; dolphin status")


@systemd.command("uninstall")
@_HOME
@_DRY
def uninstall(home: Path, dry_run: bool) -> None:
    """Stop the stack and take its units off; state, settings, keys and users stay."""
    if not dry_run:
        refuse_where_impossible()
    _take(steps_to_uninstall(_settings(), _place(home)), dry_run=dry_run)
