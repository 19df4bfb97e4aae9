"""`dolphin settings`: every setting with its value and where it comes from; judging and making a file."""

import os
import sys
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from dolphin_realtime.cli.app import say
from dolphin_realtime.cli.settings_table import Setting, example, settings_of
from dolphin_realtime.config.settings_file import NAMED_BY, read_settings, settings_path


@click.group(invoke_without_command=True)
@click.option("--changed", is_flag=True, help="Only what is not at its default.")
@click.option("--json", "as_json", is_flag=True, help="One line of JSON.")
@click.pass_context
def settings(ctx: click.Context, changed: bool, as_json: bool) -> None:
    """Every setting: its value, where it comes from, its default, and what it means.

    The environment takes precedence over the file: dolphin.toml of the working directory, or the
    one that DOLPHIN_SETTINGS names.

    \b
    Examples: dolphin settings --changed
              dolphin settings example > dolphin.toml
              dolphin settings check dolphin.toml
    """
    if ctx.invoked_subcommand is not None:
        return
    path = settings_path()
    file = read_settings(path) if path else {}
    env = {name: value for name, value in os.environ.items() if name != NAMED_BY}
    found = settings_of(env, file, str(path or ""))
    shown = [one for one in found if not changed or one.source != "default"]
    if as_json:
        click.echo(msgspec.json.encode([one._asdict() for one in shown]).decode())
    else:
        _print(shown, path)


def _print(shown: list[Setting], path: Path | None) -> None:
    say(f"file: {path}" if path else "no file: dolphin settings example > dolphin.toml makes one")
    console = Console()
    if not console.is_terminal:
        console = Console(width=200)
    for table in dict.fromkeys(one.table for one in shown):
        rows = Table(
            title=Text(f"[{table}]", style="bold"), title_justify="left", box=None, pad_edge=False,
            expand=True,
        )  # fmt: skip
        for column in ("setting", "value", "from", "default"):
            rows.add_column(column, no_wrap=True, overflow="ellipsis")
        rows.add_column("what", ratio=1)
        for one in shown:
            if one.table == table:
                value = one.value or "(empty)"
                cells = (one.name, value, one.source, one.default or "(empty)", one.means)
                rows.add_row(*map(Text, cells), style=None if one.source == "default" else "bold")
        console.print(rows)


@settings.command("check")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def check(file: Path) -> None:
    """Judge a file of settings. Exit status 1 if something in it is wrong.

    \b
    Example: dolphin settings check dolphin.toml
    """
    from dolphin_realtime.cli.settings_check import check_file

    wrong = check_file(file)
    for sentence in wrong:
        click.echo(sentence, err=True)
    say(f"{file}: {len(wrong)} wrong" if wrong else f"{file}: good")
    sys.exit(1 if wrong else 0)


@settings.command("example")
def show_example() -> None:
    """Print a commented file with every setting at its default.

    \b
    Example: dolphin settings example > dolphin.toml
    """
    click.echo(example(), nl=False)
