"""`dolphin upgrade check`: what another version would change here, before it is installed."""

import os
import sys
from collections.abc import Iterable
from pathlib import Path

import click
import msgspec

from dolphin_realtime.cli.app import say
from dolphin_realtime.cli.settings_table import OF_INSTANCE, settings_of
from dolphin_realtime.config.settings import PREFIX
from dolphin_realtime.config.settings_file import read_settings, settings_path
from dolphin_realtime.ops.runner.services import IS_CHECKOUT, ROOT
from dolphin_realtime.ops.upgrade.comparison import Change, Upgrade, compare
from dolphin_realtime.ops.upgrade.versions import installed, of_commit, of_wheel


@click.group()
def upgrade() -> None:
    """What another version of Dolphin would change here."""


@upgrade.command("check")
@click.argument("version", default="")
@click.option("--json", "as_json", is_flag=True, help="One line of JSON.")
def check(version: str, as_json: bool) -> None:
    """Compare the installed version with VERSION: a wheel, or in a checkout a commit, tag or branch.

    Without VERSION, in a checkout: the newest of its branch, which is fetched. Nothing is changed.
    Exit status: 0 nothing is in the way, 1 settings in use here are gone there.

    \b
    Examples: dolphin upgrade check
              dolphin upgrade check v0.2.0
              dolphin upgrade check dolphin_trader-0.2.0-py3-none-any.whl
    """
    if not version.endswith(".whl") and not IS_CHECKOUT:
        raise click.UsageError("no checkout: give the wheel, dolphin upgrade check FILE.whl")
    there = of_wheel(Path(version)) if version.endswith(".whl") else of_commit(ROOT, version)
    found = compare(installed(), there, _used())
    if as_json:
        click.echo(msgspec.json.encode(found._asdict()).decode())
    else:
        _print(found)
    sys.exit(1 if found.gone else 0)


def _used() -> set[str]:
    path = settings_path()
    file = read_settings(path) if path else {}
    found = settings_of(os.environ, file, str(path or ""))
    return {_general(one.variable) for one in found if one.source != "default"}


def _general(variable: str) -> str:
    of_instance = OF_INSTANCE.fullmatch(variable)
    return f"{PREFIX}{of_instance[2]}" if of_instance else variable


def _print(found: Upgrade) -> None:
    say(f"here   {found.here}\nthere  {found.there}")
    _section("in the way: settings of yours that are not known there", found.gone)
    _section("to do after it", found.to_do)
    _section("what an operator notices", found.news)
    _section("defaults that change, of settings you have not set", map(_change, found.defaults))
    _section("packages", map(_change, found.packages))
    if not (found.news or found.packages or found.defaults or found.gone):
        say("nothing that an operator notices")


def _section(title: str, lines: Iterable[str]) -> None:
    rows = [f"  {line}" for line in lines]
    if rows:
        say("\n".join(["", title, *rows]))


def _change(one: Change) -> str:
    return f"{one.name}  {one.here or 'new'} -> {one.there or 'gone'}"
