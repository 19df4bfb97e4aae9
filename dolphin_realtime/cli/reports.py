"""`dolphin backtest`, `dolphin report` and `dolphin versus`: results after costs."""

import contextlib
import sys
import time
import webbrowser
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from dolphin_realtime.cli.app import say
from dolphin_realtime.cli.running import instance_option, load_here
from dolphin_realtime.model.errors import SettingsError
from dolphin_realtime.reports.figures import Figures, to_dict
from dolphin_realtime.reports.plotly_script import make_single

_PATH = click.Path(exists=True, path_type=Path)
LINE_EVERY_S = 10.0


class Day(click.ParamType[str]):
    """A UTC day, YYYY-MM-DD."""

    name = "day"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the day, or say what is expected."""
        try:
            return date.fromisoformat(str(value)).isoformat()
        except ValueError:
            self.fail(f"{value!r} is not a day; expected YYYY-MM-DD", param, ctx)


@contextlib.contextmanager
def progress(total: int, what: str) -> Iterator[Callable[[], None]]:
    """Yield a function that counts one more: a bar on a terminal, else a line every 10 s."""
    if not sys.stderr.isatty():
        yield _lines(total, what)
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda: bar.advance(task)


def _lines(total: int, what: str) -> Callable[[], None]:
    count, due = 0, time.monotonic() + LINE_EVERY_S

    def one_more() -> None:
        nonlocal count, due
        count += 1
        if time.monotonic() >= due:
            due = time.monotonic() + LINE_EVERY_S
            say(f"{count:,} of {total:,} {what}", err=True)

    return one_more


SINGLE: Final = click.option(
    "--single-file", "is_single", is_flag=True, help="Put plotly's script into the page (5 MB): it can be sent by itself."
)  # fmt: skip


@click.command()
@click.option(
    "--scans", required=True, type=_PATH, help="Archive folder, scan folder, or one file."
)
@click.option("--from", "first", required=True, type=Day(), help="First day traded, UTC.")
@click.option("--to", "last", required=True, type=Day(), help="Last day traded, included.")
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="Folder for the results."
)
@click.option("--set", "assignments", multiple=True, metavar="NAME=VALUE",
              help="Change a parameter of signal, sizing, costs or limits.")  # fmt: skip
@click.option("--book", type=_PATH, help="Order books: JSON lines, Parquet, or a folder by day.")
@click.option("--factors", type=_PATH, help="Factors: JSON lines, Parquet, or a folder by day.")
@click.option("--warm-up-days", type=click.IntRange(min=0), default=None,
              help="Days before --from that warm the signal up.  [default: DOLPHIN_WARM_UP_DAYS]")  # fmt: skip
@instance_option("Whose parameters and ids.")
@SINGLE
@click.option("--json", "as_json", is_flag=True, help="One line of JSON: every figure.")
def backtest(
    scans: Path, first: str, last: str, out: Path, assignments: tuple[str, ...],
    book: Path | None, factors: Path | None, warm_up_days: int | None, instance: str, is_single: bool, as_json: bool,
) -> None:  # fmt: skip
    """Trade recorded days by the trader's own code and write the results.

    \b
    Example: dolphin backtest --scans var/archive --from 2025-05-14 --to 2025-05-15 --out /tmp/bt
    Writes:  fills, orders, order_events, equity, decisions, funding, refusals, positions and
             position_changes (.parquet), report.html, report.json
    Positions stay open at the end, marked at the last prices. No order fills at the price
    it was decided at; costs are those of the paper venue.
    """
    from dolphin_realtime.backtest.days import Job, count_scans, run
    from dolphin_realtime.config.trader_parameters import changed, load_parameters
    from dolphin_realtime.scans.coverage import line_of

    if last < first:
        raise SettingsError(f"--to {last} is before --from {first}")
    settings = load_here()
    job = Job(
        scans=scans, first=first, last=last, book=book, factors=factors, instance=instance,
        parameters=changed(load_parameters(instance), assignments),
        warm_up_days=settings.warm_up_days if warm_up_days is None else warm_up_days,
    )  # fmt: skip
    try:
        with progress(count_scans(job), "scans") as advance:
            outcome = run(job, out, advance)
    except OSError as e:
        raise SettingsError(f"{out} cannot be written: {e}") from e
    if is_single:
        make_single(outcome.report.html)
    facts = {
        "out": str(out),
        "refused_scans": outcome.result.refused,
        "warm_up_scans": outcome.warm_up_scans,
        "coverage": msgspec.to_builtins(outcome.result.days),
    }
    say(line_of(outcome.result.days), err=True)
    if as_json:
        click.echo(msgspec.json.encode({**to_dict(outcome.report.figures), **facts}).decode())
        return
    say(
        f"{instance}, {first} to {last}, {outcome.warm_up_scans:,} scans of warm-up"
        + (f", {', '.join(assignments)}" if assignments else "")
    )
    show(outcome.report.figures)
    say(f"written to {out}; open {outcome.report.html}")


@click.command()
@click.argument("day", type=Day())
@instance_option("Whose journal.")
@click.option("--open", "is_opened", is_flag=True, help="Open the page in a browser.")
@SINGLE
@click.option("--json", "as_json", is_flag=True, help="One line of JSON: every figure.")
def report(day: str, instance: str, is_opened: bool, is_single: bool, as_json: bool) -> None:
    """Write the report of one day's paper trading from the journal.

    \b
    Example: dolphin report 2025-05-15 --instance BLUE --open
    """
    from dolphin_realtime.reports.daily import write_paper_report
    from dolphin_realtime.scans.coverage import line_of

    written = write_paper_report(load_here(), instance, day)
    if is_single:
        make_single(written.html)
    say(line_of(written.coverage), err=True)
    if as_json:
        facts = {"html": str(written.html), "coverage": msgspec.to_builtins(written.coverage)}
        click.echo(msgspec.json.encode({**to_dict(written.figures), **facts}).decode())
    else:
        show(written.figures)
        say(f"written to {written.html}")
    if is_opened:
        webbrowser.open(written.html.absolute().as_uri())


def show(f: Figures) -> None:
    """Print the headline: net first, then its components."""
    for note in (*(f"simulated: {n}" for n in f.notes), *f.caveats):
        say(note, fg="yellow")
    say(f"net       {f.net:14,.2f} USDT  ({100 * f.total_return:+.3f} %)", bold=True)
    say(f"  gross   {f.gross:14,.2f}")
    for name in ("slippage", "fees", "funding"):
        say(f"− {name:8}{getattr(f, name):14,.2f}")
    say(f"drawdown  {100 * f.max_drawdown:13.3f} %  turnover {f.turnover:,.2f} of start equity")
    say(
        f"{f.scans:,} scans, {f.orders:,} orders, {f.fills:,} fills, {f.refusals:,} refused by a limit"
    )
    if f.ratios_note:
        say(f"Sharpe, Sortino, volatility: {f.ratios_note}")
    else:
        say(
            f"Sharpe {f.sharpe or 0:.2f}  Sortino {f.sortino or 0:.2f}  volatility {100 * (f.volatility or 0):.1f} %"
        )
    if not f.fills:
        why = ", ".join(f"{reason} {n:,}" for reason, n in list(f.reasons.items())[:6])
        say(f"nothing was traded: {why or 'no scan in the period'}", fg="yellow")


@click.command()
@click.argument("day", type=Day())
@instance_option("Whose journal.")
@click.option("--json", "as_json", is_flag=True, help="One line of JSON.")
def versus(day: str, instance: str, as_json: bool) -> None:
    """Compare a paper day with its backtest: what differs, and why.

    \b
    Example: dolphin versus 2025-05-15
    The day is backtested from its opening state on its archive, or on its scan files while
    it is not archived. Exit status 1 if a difference has no recorded cause.
    """
    from dolphin_realtime.backtest.versus_paper import scans_of, versus_paper
    from dolphin_realtime.reports.versus import JSON, folder_of

    settings = load_here()
    found = versus_paper(settings, instance, day, scans_of(settings, day))
    if as_json:
        click.echo(msgspec.json.encode(found).decode())
    else:
        say(f"{found.scans:,} scans, {found.same:,} decisions and fills alike")
        for cause, n in found.by_cause.items():
            say(f"{n:9,} differ: {cause}")
        say(
            f"{found.unexplained:9,} differ without a cause",
            fg="red" if found.unexplained else None,
        )
        for d in found.examples[:5]:
            say(f"          {d.asset} {d.what}: paper {d.paper} | backtest {d.backtest}")
        say(f"net: paper {found.net_paper:,.2f} USDT, backtest {found.net_backtest:,.2f} USDT")
        say(f"written to {folder_of(settings, instance, day) / JSON}")
    sys.exit(1 if found.unexplained else 0)
