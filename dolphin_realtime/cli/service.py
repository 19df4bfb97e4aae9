"""`dolphin service NAME`: one service in front, as a unit or the local runner starts it."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from importlib import import_module

import click
import uvloop

from dolphin_realtime import log
from dolphin_realtime.model.errors import SettingsError
from dolphin_realtime.service import Frame, serve
from dolphin_realtime.settings import Settings, load


@click.command()
@click.argument(
    "name", type=click.Choice(["hazelcast", "replay", "bridge", "safety", "trader", "meta-health"])
)
@click.argument("instance", required=False)
@click.option(
    "--mode", type=click.Choice(["paper", "live"]), default=None, help="Trader: where orders go."
)
def service(name: str, instance: str | None, mode: str | None) -> None:
    """Run one service in front until SIGTERM.

    \b
    Example: dolphin service trader BLUE
    """
    settings = load()
    if name in ("hazelcast", "replay"):
        package = {"hazelcast": "member", "replay": "replay"}[name]
        module = import_module(f"dolphin_realtime.{package}.service")
        raise SystemExit(module.run(settings) if name == "hazelcast" else module.serve(settings))
    if name == "trader":
        _trader(settings, instance, mode)
        return
    package = name.replace("-", "_")
    log.configure(name)
    work = import_module(
        f"dolphin_realtime.{package}.{'bridge' if name == 'bridge' else 'service'}"
    ).run
    _run(name, settings, work)


def _trader(settings: Settings, instance: str | None, mode: str | None) -> None:
    if instance is None or not instance.isalnum():
        raise SettingsError("a trader needs its instance: dolphin service trader BLUE")
    module = import_module("dolphin_realtime.trader.service")
    module.refuse_live(settings, mode)
    name = f"trader@{instance}"
    log.configure(name)
    _run(name, settings, partial(module.run, instance=instance))


def _run(name: str, settings: Settings, work: Callable[[Frame], Awaitable[None]]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(name, settings, work))
