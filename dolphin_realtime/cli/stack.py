"""`dolphin up`, `down`, `status`, `start`, `stop`, `restart`, `logs`: the whole stack."""

import asyncio
import sys
import time

import click
import msgspec

from dolphin_realtime.cli.app import say
from dolphin_realtime.cli.not_trading import not_trading
from dolphin_realtime.cli.overview import read_overview
from dolphin_realtime.cli.running import load_here, with_its_ports
from dolphin_realtime.cli.status_view import as_json as status_json
from dolphin_realtime.cli.status_view import render
from dolphin_realtime.config.loading import load
from dolphin_realtime.infra.process import has_ended
from dolphin_realtime.model.errors import ServiceError, SettingsError
from dolphin_realtime.ops.managers.find import manager_of
from dolphin_realtime.ops.managers.local import LocalManager

DOWN_TIMEOUT_S = 90.0


@click.command()
@click.option("--demo", is_flag=True, help="Replay the shipped sample and trade it on paper.")
@click.option(
    "--for", "for_s", type=click.FloatRange(min=1), help="Stop after SECONDS, print a summary."
)
@click.option(
    "--scanner",
    is_flag=True,
    help="Without NG6: scan Binance USD-M's public mark prices; needs no key.",
)
@click.option("--world", metavar="NAME", help="With --demo: simulated market events, e.g. bad-day.")
@click.option(
    "--live", is_flag=True, help="One instance trades live; with --demo at a simulated venue."
)
@click.option(
    "--i-understand-this-trades-real-money",
    "is_understood",
    is_flag=True,
    help="Needed with --live at the real venue.",
)
@click.option("--no-dagster", is_flag=True, help="Only the realtime services.")
@click.option("--json", "as_json", is_flag=True, help="The summary as one line of JSON.")
def up(
    demo: bool,
    for_s: float | None,
    scanner: bool,
    world: str | None,
    live: bool,
    is_understood: bool,
    no_dagster: bool,
    as_json: bool,
) -> None:
    """Start every service in order, each once ready, and stay in the foreground until Ctrl-C.

    \b
    Examples: dolphin up --demo --for 120
              dolphin up --scanner                  live prices, on paper, without NG6
              dolphin up --demo --live --for 300     in live mode, at a simulated venue on loopback
              dolphin up --demo --world bad-day       a wick, a redenomination, a halt, a hole, …
    """
    from dolphin_realtime.cli.demo import choose_world, scan_marks, trade_live
    from dolphin_realtime.cli.up import run_stack

    if world is not None:
        choose_world(world, is_demo=demo)
    if scanner:
        scan_marks(is_demo=demo)
    if live:
        trade_live(load(), is_demo=demo, is_understood=is_understood)
    settings = load()
    status = asyncio.run(
        run_stack(settings, is_demo=demo, for_s=for_s, with_dagster=not no_dagster, as_json=as_json)
    )
    sys.exit(status)


@click.command()
def down() -> None:
    """Stop the stack that runs in DOLPHIN_HOME."""
    manager = manager_of(load_here())
    if not isinstance(manager, LocalManager):
        raise SettingsError("systemd manages this stack: systemctl stop dolphin.target")
    pid = manager.down()
    deadline = time.monotonic() + DOWN_TIMEOUT_S
    while not has_ended(pid):
        if time.monotonic() > deadline:
            raise ServiceError(
                f"the runner (process {pid}) did not end within {DOWN_TIMEOUT_S:.0f} s"
            )
        time.sleep(0.05)
    say("stopped")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One line of JSON.")
def status(as_json: bool) -> None:
    """Show services, scan, posture, health, positions, and why it is not trading.

    Exit status 0 if it may trade, 1 if not, 3 if no stack runs.
    """
    settings = load_here()
    manager = manager_of(settings)
    services = manager.status()
    settings = with_its_ports(settings, manager.facts())
    overview = read_overview(settings, services, settings.ui_port)
    if as_json:
        click.echo(msgspec.json.encode(status_json(overview)).decode())
    else:
        render(overview)
    sys.exit(1 if not_trading(overview) else 0)


def _tell(name: str) -> None:
    services = manager_of(load_here()).status()
    found = next((s for s in services if s.name == name), None)
    detail = f" ({found.detail})" if found is not None and found.detail else ""
    say(f"{name}: {found.state if found is not None else 'done'}{detail}")


@click.command()
@click.argument("name")
def start(name: str) -> None:
    """Start a service and wait until it is ready, even if it reached its start limit."""
    manager = manager_of(load_here())
    manager.reset_failed(name)
    manager.start(name, wait=True)
    _tell(name)


@click.command()
@click.argument("name")
def stop(name: str) -> None:
    """Stop a service; it stays down until `dolphin start`."""
    manager_of(load_here()).stop(name)
    _tell(name)


@click.command()
@click.argument("name")
def restart(name: str) -> None:
    """Stop a service and start it again."""
    manager = manager_of(load_here())
    manager.reset_failed(name)
    manager.restart(name)
    _tell(name)


@click.command()
@click.argument("name")
@click.option("-f", "follow", is_flag=True, help="Keep printing new lines.")
@click.option("-n", "lines", default=50, show_default=True, help="How many of the last lines.")
def logs(name: str, follow: bool, lines: int) -> None:
    """Print a service's log.

    \b
    Example: dolphin logs trader@BLUE -f
    """
    settings = load_here()
    manager = manager_of(settings)
    known = [s.name for s in manager.status()] if not isinstance(manager, LocalManager) else [name]
    if name not in known:
        raise SettingsError(f"no service {name!r}; known: {', '.join(known)}")
    manager.log(name, lines, follow=follow)
