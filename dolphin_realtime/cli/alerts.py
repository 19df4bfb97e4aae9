"""`dolphin alerts`: what is red and since when, past alerts, a test message to all receivers."""

import getpass
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import click
import msgspec

from dolphin_realtime.cli.app import say
from dolphin_realtime.cli.recovery import duration
from dolphin_realtime.cli.running import load_here, load_running
from dolphin_realtime.config.services import SERVICES
from dolphin_realtime.config.settings import Settings
from dolphin_realtime.model.errors import DeliveryError, ServiceError, SettingsError
from dolphin_realtime.model.health.causes import grouped
from dolphin_realtime.ops.managers.find import manager_of
from dolphin_realtime.runtime import alert_care
from dolphin_realtime.runtime.alert_care import CareLine, care_of
from dolphin_realtime.runtime.alert_log import Alert, AlertKey, read_alerts, standing, why_of
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
              dolphin alerts ack bridge is_alive --reason "on it"
              dolphin alerts silence 'scan_archive *' '*' --for 2h --reason "NG6 is moved"
              dolphin alerts test          a test message to every receiver
    """
    if context.invoked_subcommand is not None:
        return
    settings = load_here()
    active = standing(read_alerts(settings.home))
    found = list(active.values())
    blind = _blind(settings)
    if blind is not None:
        click.echo(f"dolphin: {blind}", err=True)
    if as_json:
        click.echo(msgspec.json.encode(found).decode())
    elif not found and blind is None:
        say("nothing is red", fg="green")
    if not as_json:
        _show(active, settings)
    sys.exit(3 if blind == NO_STACK else 1 if found else 0)


def _show(active: dict[AlertKey, Alert], settings: Settings) -> None:
    """Print each cause with what follows from it and who takes care of it."""
    care = care_of(settings.home, active, datetime.now(UTC))
    for key, followers in grouped(active).items():
        alert = active[key]
        say(f"{alert.asset} {alert.check} since {alert.ts:%Y-%m-%d %H:%M:%S} UTC", fg="red")
        say(f"  {why_of(alert.facts)}")
        if followers:
            say(f"  it explains: {', '.join(' '.join(other) for other in followers)}")
        say(f"  {alert.runbook}")
        if key in care:
            say(f"  {care[key].words}")


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


ASSET: Final = click.argument("asset")
CHECK: Final = click.argument("check")
REASON: Final = click.option(
    "--reason", required=True, help="Why: it is shown wherever the alert is."
)


@alerts.command()
@ASSET
@CHECK
@REASON
@click.option("--for", "for_", help="30m, 4h, 2d; without it, until it is well.")
def ack(asset: str, check: str, reason: str, for_: str | None) -> None:
    """Say that someone works on an active alert: it is not sent again until it is well.

    ASSET and CHECK are as `dolphin alerts` prints them.
    """
    span = duration(for_) if for_ else None
    home = load_here().home
    active = standing(read_alerts(home))
    alert = active.get((asset, check))
    if alert is None:
        names = ", ".join(" ".join(key) for key in active) or "nothing"
        raise click.ClickException(f"{asset} {check} is not red; red is: {names}")
    _care(home, "ack", asset, check, reason, span, alert.ts)
    say(f"{asset} {check} is acknowledged", fg="green")


@alerts.command()
@ASSET
@CHECK
@REASON
@click.option("--for", "for_", required=True, help="30m, 4h, 2d; at most a week.")
def silence(asset: str, check: str, reason: str, for_: str) -> None:
    """Send nothing of what matches for a time; it is shown red as before.

    ASSET and CHECK may hold `*`. What is still red when the time is over is sent then.
    """
    span = duration(for_)
    _care(load_here().home, "silence", asset, check, reason, span, None)
    say(f"{asset} {check} is silenced for {span}", fg="yellow")


@alerts.command()
@ASSET
@CHECK
@REASON
def lift(asset: str, check: str, reason: str) -> None:
    """End an acknowledgement or a silence."""
    _care(load_here().home, "lift", asset, check, reason, None, None)
    say(f"{asset} {check} is sent as ever", fg="green")


def _care(
    home: Path, kind: alert_care.Kind, asset: str, check: str, reason: str,
    span: timedelta | None, episode: datetime | None,
) -> None:  # fmt: skip
    now = datetime.now(UTC)
    until = None if span is None else now + span
    alert_care.add(
        home,
        CareLine(
            at=now, kind=kind, asset=asset, check=check, until=until, episode=episode,
            reason=reason, by=getpass.getuser(),
        ),
    )  # fmt: skip


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
