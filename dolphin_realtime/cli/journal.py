"""`dolphin journal`: verify an instance's journal."""

import sys

import click
import msgspec

from dolphin_realtime.cli.app import say
from dolphin_realtime.journal_check import check as check_journal
from dolphin_realtime.settings import load


@click.group()
def journal() -> None:
    """The journal of an instance: the only truth about what it did and owns."""


@journal.command("check")
@click.option("--instance", default="BLUE", show_default=True, help="Whose journal.")
@click.option("--json", "as_json", is_flag=True, help="One line of JSON.")
def check(instance: str, as_json: bool) -> None:
    """Verify every identity; name the first row that breaks one.

    \b
    Example: dolphin journal check --instance BLUE
    """
    result = check_journal(load().journal_dir(instance))
    if as_json:
        click.echo(msgspec.json.encode(result).decode())
    elif result.ok:
        say(f"every identity holds over {result.rows} rows")
    else:
        say(f"BROKEN: {result.first_break}", fg="red")
    sys.exit(0 if result.ok else 1)
