"""`dolphin alerts`: what is red and since when, past alerts, a test message to all receivers."""

import sys
from datetime import UTC, datetime
from typing import Final

import click
import msgspec

from dolphin_realtime.cli.app import say
from dolphin_realtime.cli.running import load_here, load_running
from dolphin_realtime.config.services import SERVICES
from dolphin_realtime.config.settings import Settings
from dolphin_realtime.model.errors import DeliveryError, ServiceError, SettingsError
from dolphin_realtime.ops.managers.find import manager_of
from dolphin_realtime.runtime.alert_log import read_alerts, standing
from dolphin_realtime.services.alerter.message import why_of
from dolphin_realtime.services.alerter.targets import path_of, read_targets, send

NO_STACK: Final = "no stack runs here: these were the last active alerts"


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="One line of JSON: a list.")
@click.pass_context
def alerts(context: click.Context, as_json: bool) -> None:
    """What is red now, since when, why, and which runbook section says what to do.

    Exit status: 0 nothing is red, 1 something is red, 3 unknown because no stack runs.

    \b
    Examples: dolphin alerts
              dolphin alerts history       red and recovered, the newest last
              dolphin alerts test          a test message to every receiver
    """
    if context.invoked_subcommand is not None:
        return
    settings = load_here()
    found = list(standing(read_alerts(settings.home)).values())
    blind = _blind(settings)
    if blind is not None:
        click.echo(f"dolphin: {blind}", err=True)
    if as_json:
        click.echo(msgspec.json.encode(found).decode())
    elif not found and blind is None:
        say("nothing is red", fg="green")
    for alert in found if not as_json else []:
        say(f"{alert.asset} {alert.check} since {alert.ts:%Y-%m-%d %H:%M:%S} UTC", fg="red")
        say(f"  {why_of(alert.facts)}")
        say(f"  {alert.runbook}")
    sys.exit(3 if blind == NO_STACK else 1 if found else 0)


def _blind(settings: Settings) -> str | None:
    """Return why the alerts may be incomplete, None if every service that writes them runs."""
    try:
        services = manager_of(settings).status()
    except ServiceError:
        return NO_STACK
    seers = {service.name for service in SERVICES if service.sees_alerts}
    down = [s.name for s in services if s.name in seers and s.state != "running"]
    return f"{', '.join(down)} is down: checks and runs are not looked at" if down else None


@alerts.command()
@click.option("-n", "lines", default=30, show_default=True, help="How many of the newest.")
def history(lines: int) -> None:
    """Print what went wrong and what recovered."""
    for alert in read_alerts(load_here().home)[-lines:]:
        colour = "red" if alert.state == "red" else "green"
        text = f"{alert.ts:%Y-%m-%d %H:%M:%S} {alert.state:9} {alert.asset} {alert.check}"
        say(f"{text}: {why_of(alert.facts)}", fg=colour)


@alerts.command()
def test() -> None:
    """Send a test message to every receiver of DOLPHIN_ALERTS_FILE and say which accepted it."""
    settings = load_running()
    if not settings.alerts_file:
        raise SettingsError("there is no receiver: DOLPHIN_ALERTS_FILE is not set")
    targets = read_targets(path_of(settings))
    if not targets:
        raise SettingsError(f"{path_of(settings)} holds no receiver: write one Apprise URL a line")
    refused = 0
    for target in targets:
        text = f"A test message, sent by hand at {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC."
        try:
            send(target, "Dolphin: a test message", text)
        except DeliveryError as e:
            refused += 1
            say(f"{target.name}: refused: {e}", fg="red")
        else:
            say(f"{target.name}: accepted", fg="green")
    sys.exit(1 if refused else 0)
