"""`dolphin journal` and `dolphin compare`: verify, export and compare journals."""

import sys
from pathlib import Path

import click
import msgspec

from dolphin_realtime.cli.app import say
from dolphin_realtime.cli.running import instance_option, load_here
from dolphin_realtime.model.errors import SettingsError


@click.group()
def journal() -> None:
    """The journal of an instance: the only authoritative record of its trades and positions."""


@journal.command("check")
@instance_option("Whose journal.")
@click.option("--json", "as_json", is_flag=True, help="One line of JSON.")
def check(instance: str, as_json: bool) -> None:
    """Verify every identity; name the first row that breaks one.

    \b
    Example: dolphin journal check --instance BLUE
    """
    from dolphin_realtime.journal.check import check as check_journal

    result = check_journal(load_here().journal_dir(instance))
    if as_json:
        click.echo(msgspec.json.encode(result).decode())
    elif result.ok:
        say(f"every identity holds over {result.rows} rows")
    else:
        say(f"BROKEN: {result.first_break}", fg="red")
    sys.exit(0 if result.ok else 1)


@journal.command("export")
@instance_option("Whose journal.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder to write to.")
@click.option("--json", "as_json", is_flag=True, help="One line of JSON: rows by file.")
def export(instance: str, out: Path, as_json: bool) -> None:
    """Write fills, orders and their ends, equity, decisions and more as Parquet files.

    \b
    Example: dolphin journal export --instance BLUE --out /tmp/blue
    """
    from dolphin_realtime.journal.export import export as export_journal

    try:
        rows = export_journal(load_here().journal_dir(instance), instance, out)
    except OSError as e:
        raise SettingsError(f"{out} cannot be written: {e}") from e
    if as_json:
        click.echo(msgspec.json.encode(rows).decode())
        return
    for name, n in rows.items():
        say(f"{n:9,} rows  {out / name}.parquet")


@click.command()
@click.argument("first")
@click.argument("second")
@click.option("--json", "as_json", is_flag=True, help="One line of JSON.")
def compare(first: str, second: str, as_json: bool) -> None:
    """Compare two instances on the same scans: which orders are alike, and figures side by side.

    \b
    Example: dolphin compare BLUE GREEN
    """
    from dolphin_realtime.config.trader_parameters import differences
    from dolphin_realtime.reports.compare import compare as compare_journals

    if first == second:
        raise SettingsError("name two instances: dolphin compare BLUE GREEN")
    settings = load_here()
    found = compare_journals({name: settings.journal_dir(name) for name in (first, second)})
    found.settings = differences(first, second)
    if as_json:
        click.echo(msgspec.json.encode(found).decode())
        return
    only = f"{found.scans_only_first} only {first}, {found.scans_only_second} only {second}"
    say(f"scans: {found.scans_in_common} in common, {only}")
    say(
        f"orders: {found.same_orders} alike, {found.same_but_size} alike but for size, "
        f"{found.only_first} only {first}, {found.only_second} only {second}"
    )
    a, b = found.figures[first], found.figures[second]
    say(f"  {'':14} {first:>14} {second:>14} {'difference':>14}")
    for name in _SHOWN:
        x, y = getattr(a, name), getattr(b, name)
        say(f"  {name:14} {x:14,.4f} {y:14,.4f} {y - x:14,.4f}")
    for name, (x, y) in found.settings.items():
        say(f"  {name}: {first} {x}, {second} {y}")


_SHOWN = (
    "net", "gross", "slippage", "fees", "funding", "end_equity", "max_drawdown", "turnover",
    "orders", "fills", "cancels", "refusals",
)  # fmt: skip
