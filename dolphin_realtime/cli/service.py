"""`dolphin service NAME`: one service in the foreground, as systemd or the local runner runs it."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import click
import msgspec
import uvloop

from dolphin_realtime.cli.app import say
from dolphin_realtime.config.live import check_caps, live_settings
from dolphin_realtime.config.loading import load
from dolphin_realtime.config.services import SERVICES, TRADER, row_of, trader_of
from dolphin_realtime.config.settings import Settings
from dolphin_realtime.config.trader_parameters import check_shares
from dolphin_realtime.infra import log
from dolphin_realtime.model.errors import JournalError, SettingsError
from dolphin_realtime.runtime.service_context import ServiceContext, serve, serve_without_grid

_PATH = click.Path(exists=True, path_type=Path)


@click.command()
@click.argument(
    "name",
    type=click.Choice([row.name for row in SERVICES if row.module]),
)
@click.argument("instance", required=False)
@click.option(
    "--mode", type=click.Choice(["paper", "live"]), default=None, help="Trader: where orders go."
)
@click.option("--scans", type=_PATH, help="Trader: trade these files at full speed, then end.")
@click.option("--book", type=_PATH, help="With --scans: order-book documents, JSON lines.")
@click.option("--factors", type=_PATH, help="With --scans: factor documents, JSON lines.")
@click.option(
    "--inputs", type=_PATH, help="With --scans: a journal whose posture applies at each scan."
)
def service(
    name: str,
    instance: str | None,
    mode: str | None,
    scans: Path | None,
    book: Path | None,
    factors: Path | None,
    inputs: Path | None,
) -> None:
    """Run one service in the foreground until SIGTERM.

    \b
    Examples: dolphin service trader BLUE
              dolphin service trader TRY --scans var/scans     (no grid; journal/TRY)
    """
    settings = load()
    row = row_of(name)
    if row.frame == "own":
        raise SystemExit(import_module(row.module).run(settings))
    if scans is not None:
        if name != TRADER:
            raise SettingsError("--scans is for a trader: dolphin service trader TRY --scans PATH")
        _trader_from_files(settings, _instance(instance), mode, scans, book, factors, inputs)
        return
    if name == TRADER:
        _trader(settings, _instance(instance), mode)
        return
    log.configure(name)
    frame = serve if row.frame == "grid" else serve_without_grid
    _run(name, settings, import_module(row.module).run, frame)


def _instance(name: str | None) -> str:
    if name is None or not name.isalnum():
        raise SettingsError("a trader needs its instance: dolphin service trader BLUE")
    return name


def _trader(settings: Settings, instance: str, mode: str | None) -> None:
    module = import_module(row_of(TRADER).module)
    if mode is not None:
        settings = msgspec.structs.replace(settings, mode=mode)
    if instance not in settings.instance_names:
        known = ", ".join(settings.instance_names)
        raise SettingsError(f"{instance} is no trader of this stack; DOLPHIN_INSTANCES has {known}")
    check_shares(settings.instance_names)
    live = live_settings(settings, instance)
    if live is not None:
        check_caps(live)
    name = trader_of(instance)
    log.configure(name)
    _run(name, settings, partial(module.run, instance=instance))


def _trader_from_files(
    settings: Settings,
    instance: str,
    mode: str | None,
    scans: Path,
    book: Path | None,
    factors: Path | None,
    inputs: Path | None,
) -> None:
    from dolphin_realtime.scans.coverage import Reading, line_of
    from dolphin_realtime.scans.days import read_scans
    from dolphin_realtime.services.trader.from_files import read_history, trade_files
    from dolphin_realtime.services.trader.inputs import read_inputs

    if "live" in (settings.mode, mode):
        raise SettingsError("--scans trades files on paper: leave --mode and DOLPHIN_MODE at paper")
    log.configure(trader_of(instance))
    books, history = read_history(book, factors)
    reading = Reading()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        found, allowed = read_scans(scans, reading), read_inputs(inputs) if inputs else None
        run = runner.run(trade_files(settings, instance, found, books, history, allowed))
    say(line_of(reading.days()), err=True)
    say(f"{run.scans} scans traded, {run.refused} refused; dolphin journal check holds the result")
    if run.fault is not None:
        raise JournalError(f"{instance}: {run.fault}")


def _run(
    name: str,
    settings: Settings,
    work: Callable[[ServiceContext], Awaitable[None]],
    frame: Callable[..., Coroutine[Any, Any, None]] = serve,
) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(frame(name, settings, work))
