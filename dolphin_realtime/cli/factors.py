"""`dolphin factors`: every indicator's value, age, lifetime, and what it does to the signal."""

import sys
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import click
import msgspec
from rich.console import Console

from dolphin_realtime.cli.app import say
from dolphin_realtime.cli.factor_table import table_of
from dolphin_realtime.cli.inspect import fetch
from dolphin_realtime.cli.running import load_here
from dolphin_realtime.config.settings import Settings
from dolphin_realtime.factors.source_memory import memory_of
from dolphin_realtime.grid import maps, wire
from dolphin_realtime.model import instant
from dolphin_realtime.model.factors.document import Readings, readings_of
from dolphin_realtime.model.signal.gates import calendar_gate

WIDE: Final = 160
"""Columns of the table if the output is not a terminal."""
OLD: Final = timedelta(hours=12)
"""A source last asked longer ago is switched off or removed, and is not shown as failing."""
NOTHING: Final = (
    "dolphin: no external factor in the grid: every source is switched off (DOLPHIN_SOURCE_OFF, or "
    "the toggles under Automation in the Dagster UI), or no run of indicators_job is over yet"
)
CALENDAR: Final = (
    "sessions", "is_weekend", "minutes_to_funding", "days_to_expiry", "new_york_is_open",
    "minutes_to_new_york", "halving_fraction", "moon_phase",
)  # fmt: skip


def _print_calendar(document: dict[str, Any] | None, now: datetime) -> None:
    """Print the current calendar gate, which the trader computes itself, and the document."""
    say(f"calendar gate now: × {calendar_gate(instant.to_us(now))}", bold=True)
    if document is None:
        say("  no calendar factors in the grid; materialize calendar_factors in the Dagster UI")
        return
    as_of = instant.parse(document.get("as_of"))
    age = f"{instant.span((now - as_of).total_seconds())} ago" if as_of else "at no known time"
    shown = ", ".join(f"{name} {_short(document.get(name))}" for name in CALENDAR)
    say(f"  calendar factors of {age}: {shown}")


def _short(value: object) -> str:
    if isinstance(value, list):
        return "+".join(map(str, value)) or "none"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def market_time(*, is_replay: bool) -> datetime:
    """Return the market's time: the wall's, or in a replay the newest scan's."""
    if not is_replay:
        return datetime.now(UTC)
    scan = wire.decode(fetch(maps.FEATURES, maps.LATEST_SCAN)) or {}
    return instant.parse(scan.get("timestamp")) or datetime.now(UTC)


def _print_failing(settings: Settings) -> None:
    """Print which sources fail, since when and why, from the runs' memory on disk."""
    since_when = datetime.now(UTC) - OLD
    for name, circuit in memory_of(settings.run_dir).circuits().items():
        if circuit.failures and circuit.last is not None and circuit.last > since_when:
            since = f" since {circuit.since:%Y-%m-%d %H:%M:%S}" if circuit.since else ""
            runs = "run" if circuit.failures == 1 else "runs"
            say(f"FAILING {name}: {circuit.failures} {runs}{since}: {circuit.error}", fg="red")


def _refuse_unknown(asset: str | None, readings: Readings) -> None:
    known = sorted({key[1] for key in readings if key[1]})
    if asset is not None and asset not in known:
        click.echo(
            f"dolphin: no factor of {asset!r}; there are {', '.join(known) or 'none'}", err=True
        )
        sys.exit(2)


@click.command()
@click.option("--asset", help="Show per-asset factors of this asset alone.")
@click.option("--all", "every", is_flag=True, help="Show each asset of a factor with many assets.")
@click.option("--json", "as_json", is_flag=True, help="Both documents of the grid, one line.")
def factors(asset: str | None, every: bool, as_json: bool) -> None:
    """External and calendar factors: value, unit, age, lifetime, source, effect on the signal.

    "fetched" says how long ago, and how much older the value itself is. A reading past its
    lifetime stays in the list and has no effect. In a replay, ages are in market time, which
    may run faster than wall time. Failing sources are listed below. Exit status 1 if the
    grid holds no external factor.

    \b
    Example: dolphin factors --asset BTCUSDT
             dolphin factors --json | jq .exf_latest.readings.dvol_btc
    """
    settings = load_here()
    text = {k: fetch(maps.FEATURES, k) for k in (maps.LATEST_FACTORS, maps.LATEST_CALENDAR)}
    documents = {key: wire.decode(value) for key, value in text.items()}
    found = documents[maps.LATEST_FACTORS]
    if as_json:
        click.echo(msgspec.json.encode(documents).decode())
        sys.exit(0 if found else 1)
    readings = readings_of(found)
    _refuse_unknown(asset, readings)
    is_replay = any(d and d.get("market_clock") == "replay" for d in documents.values())
    now = market_time(is_replay=is_replay)
    if found is None:
        click.echo(NOTHING, err=True)
    else:
        clock = ", the replay's clock" if is_replay else ""
        say(f"external factors at {now.isoformat()}{clock}", bold=True)
        if found.get("simulated"):
            say(f"SIMULATED {found['simulated']}")
        console = Console()
        console = console if console.is_terminal else Console(width=WIDE)
        console.print(table_of(readings, now, asset, console.width, every=every))
    _print_failing(settings)
    _print_calendar(documents[maps.LATEST_CALENDAR], now)
    sys.exit(0 if found else 1)
