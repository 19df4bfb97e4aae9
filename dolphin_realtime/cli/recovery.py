"""`dolphin health history` and `dolphin maintenance`: past repairs, and a pause of repairs."""

import getpass
import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import click
import msgspec

from dolphin_realtime.cli.app import say
from dolphin_realtime.cli.running import load_here
from dolphin_realtime.model.errors import SettingsError
from dolphin_realtime.services.meta_health.files import (
    HistoryLine,
    LedgerLine,
    Maintenance,
    history_path,
    keep_maintenance,
    ledger_path,
    maintenance_path,
    read_history,
    read_ledger,
)
from dolphin_realtime.services.meta_health.files import maintenance as standing

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
LONGEST: Final = timedelta(days=7)
"""What is meant for ever is not to be silenced, but changed."""


def duration(text: str) -> timedelta:
    """Return a duration such as 30m, 90s, 2h or 1d.

    Raises:
        SettingsError: If it is not a duration, or longer than a week.
    """
    found = re.fullmatch(r"(\d+)([smhd])", text.strip())
    length = timedelta(seconds=int(found[1]) * _UNITS[found[2]]) if found else timedelta(0)
    if not timedelta(0) < length <= LONGEST:
        raise SettingsError(f"--for {text!r} is not a duration of at most 7d; e.g. 90s, 30m, 2h")
    return length


@click.command("history")
@click.option("-n", "lines", default=20, show_default=True, help="How many of the last lines.")
@click.option("--json", "as_json", is_flag=True, help="One line of JSON: ledger and history.")
def history(lines: int, as_json: bool) -> None:
    """What recovery did and how it ended, and what changed in health.

    \b
    Example: dolphin health history -n 50
    """
    settings = load_here()
    ledger, torn = read_ledger(ledger_path(settings))
    changes, torn_too = read_history(history_path(settings))
    barred = standing(maintenance_path(settings), datetime.now(UTC))
    if as_json:
        facts: dict[str, Any] = {
            "ledger": ledger[-lines:],
            "history": changes[-lines:],
            "unreadable": torn + torn_too,
            "maintenance": barred,
        }
        click.echo(msgspec.json.encode(facts).decode())
        return
    if barred:
        say(barred, fg="yellow")
    say("recovery (health/ledger.jsonl)", bold=True)
    for line in ledger[-lines:]:
        say(f"  {_ledger_line(line)}")
    if not ledger:
        say("  nothing was ever repaired")
    say("health (run_logs/health_history.jsonl)", bold=True)
    for change in changes[-lines:]:
        say(f"  {_history_line(change)}")
    if torn + torn_too:
        say(f"  {torn + torn_too} lines cannot be read", fg="red")


def _ledger_line(line: LedgerLine) -> str:
    action = line.action
    dry = " (dry run)" if line.dry_run else ""
    what = f"{action.kind} {action.target}, attempt {action.attempt}"
    return f"{line.at:%Y-%m-%d %H:%M:%S} {line.event:9} {what}{dry}: {line.why}"


def _history_line(line: HistoryLine) -> str:
    head = f"{line.at:%Y-%m-%d %H:%M:%S} turn {line.turn:<6} {line.status:8} {line.rm_meta:.3f}"
    if line.kind == "hour":
        counts = ", ".join(f"{n} {status}" for status, n in line.statuses.items())
        return f"{head} hour: {counts}, {line.actions} actions, turns {line.turn_ms} ms"
    changed = ", ".join(f"{name} {word}" for name, word in line.changed.items())
    return f"{head} {changed or line.kind}"


@click.group()
def maintenance() -> None:
    """Suspend automatic recovery for a while, with a reason."""


@maintenance.command("on")
@click.option("--reason", required=True, help="Why; shown by status, health and its history.")
@click.option("--for", "for_", default="30m", show_default=True, help="How long: 90s, 30m, 2h.")
def maintenance_on(reason: str, for_: str) -> None:
    """Begin maintenance: nothing is repaired until it expires or is ended.

    \b
    Example: dolphin maintenance on --reason "new disk" --for 2h
    """
    if not reason.strip():
        raise SettingsError("--reason is empty; say why, for whoever reads it later")
    now = datetime.now(UTC)
    order = Maintenance(until=now + duration(for_), reason=reason, who=getpass.getuser(), at=now)
    keep_maintenance(maintenance_path(load_here()), order)
    say(f"nothing is repaired until {order.until:%Y-%m-%d %H:%M:%S} UTC: {reason}")


@maintenance.command("off")
def maintenance_off() -> None:
    """End maintenance: recovery acts again."""
    path = maintenance_path(load_here())
    was = standing(path, datetime.now(UTC))
    keep_maintenance(path, None)
    say("recovery acts again" if was else "no maintenance was active; recovery acts")
