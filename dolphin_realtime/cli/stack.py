"""`dolphin up`, `down`, `status`, `start`, `stop`, `restart`, `logs`: the whole stack."""

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

import click
import msgspec

from dolphin_realtime.cli.app import say
from dolphin_realtime.cli.overview import not_trading_because, read_overview, render
from dolphin_realtime.cli.running import request, with_its_ports
from dolphin_realtime.model.errors import ServiceError, SettingsError
from dolphin_realtime.settings import load

DOWN_TIMEOUT_S = 90.0


@click.command()
@click.option("--demo", is_flag=True, help="Replay the shipped sample and trade it on paper.")
@click.option(
    "--for", "for_s", type=click.FloatRange(min=1), help="Stop after SECONDS, print a summary."
)
@click.option("--no-dagster", is_flag=True, help="Only the realtime services.")
@click.option("--json", "as_json", is_flag=True, help="The summary as one line of JSON.")
def up(demo: bool, for_s: float | None, no_dagster: bool, as_json: bool) -> None:
    """Start everything in order with readiness, and stay in front until Ctrl-C.

    \b
    Example: dolphin up --demo --for 120
    """
    from dolphin_realtime.cli.up import run_stack

    settings = load()
    status = asyncio.run(
        run_stack(settings, is_demo=demo, for_s=for_s, with_dagster=not no_dagster, as_json=as_json)
    )
    sys.exit(status)


@click.command()
def down() -> None:
    """Stop the stack that runs in DOLPHIN_HOME."""
    settings = load()
    pid = request(settings, do="status")["pid"]
    request(settings, do="down")
    deadline = time.monotonic() + DOWN_TIMEOUT_S
    while Path(f"/proc/{pid}").exists():
        if time.monotonic() > deadline:
            raise ServiceError(
                f"the runner (process {pid}) did not end within {DOWN_TIMEOUT_S:.0f} s"
            )
        time.sleep(0.05)
    say("stopped")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One line of JSON.")
def status(as_json: bool) -> None:
    """One look: services, scan, posture, health, positions, and why it is not trading.

    Exit status 0 when it may trade, 1 when not, 3 when no stack runs.
    """
    settings = load()
    answer = request(settings, do="status")
    settings = with_its_ports(settings, answer)
    overview = read_overview(settings, answer["services"], settings.ui_port)
    if as_json:
        click.echo(msgspec.json.encode(overview.as_json()).decode())
    else:
        render(overview)
    sys.exit(1 if not_trading_because(overview) else 0)


def _control(do: str, name: str) -> None:
    answer = request(load(), timeout_s=400.0, do=do, name=name)
    say(f"{name}: {answer['state']}")


@click.command()
@click.argument("name")
def start(name: str) -> None:
    """Start a service and wait until it is ready."""
    _control("start", name)


@click.command()
@click.argument("name")
def stop(name: str) -> None:
    """Stop a service; nothing starts it again but `dolphin start`."""
    _control("stop", name)


@click.command()
@click.argument("name")
def restart(name: str) -> None:
    """Stop a service and start it again."""
    _control("restart", name)


@click.command()
@click.argument("name")
@click.option("-f", "follow", is_flag=True, help="Keep printing what comes.")
@click.option("-n", "lines", default=50, show_default=True, help="How many of the last lines.")
def logs(name: str, follow: bool, lines: int) -> None:
    """Print a service's log.

    \b
    Example: dolphin logs trader@BLUE -f
    """
    path = load().home / "logs" / f"{name}.log"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in path.parent.glob("*.log"))) or "none yet"
        raise SettingsError(f"no log of a service {name!r} in {path.parent}; known: {known}")
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    with path.open(errors="replace") as f:
        sys.stdout.write("".join(f.readlines()[-lines:]))
        while follow:
            chunk = f.read()
            if chunk:
                sys.stdout.write(chunk)
                sys.stdout.flush()
            else:
                time.sleep(0.2)
                if f.tell() > os.fstat(f.fileno()).st_size:
                    f.seek(0)
