"""`dolphin live`: the account at a venue: check, set up, adopt, raise, panic."""

import asyncio
import getpass
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Final

import click
import msgspec

from dolphin_realtime.backtest.live_decisions import replay_live
from dolphin_realtime.backtest.versus_paper import scans_of
from dolphin_realtime.cli.app import say
from dolphin_realtime.cli.running import instance_option, load_here
from dolphin_realtime.config.live import (
    LIVE_FILE,
    PREFIX,
    LiveSettings,
    addresses_of,
    check_caps,
    check_named,
    read_key,
    refuse_foreign,
)
from dolphin_realtime.config.loading import load_group
from dolphin_realtime.config.settings import Settings
from dolphin_realtime.infra.local_socket import ask, trader_socket
from dolphin_realtime.journal.database import MODE, meta, reading
from dolphin_realtime.model.errors import JournalError, ServiceError, SettingsError
from dolphin_realtime.model.risk.posture import OperatorCommand, Posture
from dolphin_realtime.ops.managers import systemd
from dolphin_realtime.ops.systemd.unit import CREDENTIALS, VENUE_KEYS
from dolphin_realtime.services.safety.commands import SOCKET, CommandLog
from dolphin_realtime.venues.binance import panic as last_resort
from dolphin_realtime.venues.binance.clients import clients_of
from dolphin_realtime.venues.binance.preflight import Facts, Finding, gather, judge, wanted_of
from dolphin_realtime.venues.binance.rest import Rest
from dolphin_realtime.venues.binance.setup import set_up
from dolphin_realtime.venues.binance.signing import signer_of
from dolphin_realtime.venues.binance.stream import ANSWER_FAULTS

HALT_S: Final = 2.0
"""How long a panic waits for the safety service before it writes HALTED itself."""
_REASON = click.option("--reason", required=True, help="Kept in the journal with who and when.")


@click.group()
def live() -> None:
    """The account that a live trader trades: fit for it, brought to it, and out of it in an emergency.

    docs/live.md leads from nothing to the first order. Each command reads DOLPHIN_LIVE_*.

    \b
    Examples: dolphin live check                            is it fit for trading? asks, changes nothing
              dolphin live adopt --reason "sold by hand"    accept trades that were not the trader's
              dolphin live panic --flatten                  cancel and close everything, without a trader
    """


@asynccontextmanager
async def _clients(live: LiveSettings) -> AsyncIterator[list[Rest]]:
    """Yield the clients of both keys, and of their rights where those are told."""
    refuse_foreign(dict(os.environ))
    addresses = addresses_of(live)
    trade = read_key(f"{PREFIX}TRADE_KEY_FILE", live.trade_key_file)
    read = read_key(f"{PREFIX}READ_KEY_FILE", live.read_key_file)
    check_named(live, trade)
    clients = clients_of(addresses, trade, read)
    try:
        yield clients
    finally:
        for client in clients:
            await client.close()


def _settings() -> LiveSettings:
    """Return the live settings: the environment's, else the units', else those of a demo's home."""
    env = {**(systemd.environment() if systemd.is_installed() else {}), **os.environ}
    live, kept = load_group(LiveSettings, PREFIX, env), load_here().home / LIVE_FILE
    if live == LiveSettings() and kept.is_file():
        return msgspec.json.decode(kept.read_bytes(), type=LiveSettings)
    keys = {f"{name}_file": f"{CREDENTIALS}/{name}.{live.instance}" for name in VENUE_KEYS}
    if systemd.is_installed() and not (live.trade_key_file or live.read_key_file):
        return msgspec.structs.replace(live, **keys)
    return live


def _simulated(live: LiveSettings) -> str:
    return " (SIMULATED)" if live.venue == "loopback" else ""


@live.command()
@click.option("--json", "as_json", is_flag=True, help="One line of JSON: a list of findings.")
def check(as_json: bool) -> None:
    """Check keys, modes, names, caps, clock and orders of the account; asks and changes nothing.

    Exit status: 0 every rule holds, 1 one does not, 2 settings, 3 the venue does not answer, or refuses a key.
    """
    live = _settings()
    check_caps(live)
    findings = judge(asyncio.run(_facts(live)), wanted_of(live))
    if as_json:
        click.echo(msgspec.json.encode(findings).decode())
    else:
        _show(findings, live)
    sys.exit(0 if all(one.ok for one in findings) else 1)


async def _facts(live: LiveSettings) -> Facts:
    async with _clients(live) as clients:
        return await gather(
            clients[0], clients[1], (clients[2], clients[3]) if clients[2:] else None
        )


def _show(findings: list[Finding], live: LiveSettings) -> None:
    say(f"{live.venue}{_simulated(live)}")
    for one in findings:
        say(
            f"  {'ok' if one.ok else 'NO':3} {one.rule:16} {one.says}",
            fg="green" if one.ok else "red",
        )


@live.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
def setup(yes: bool) -> None:
    """Bring the account to what trading needs: one-way, single-asset, crossed margin, leverage.

    The venue refuses some of it while positions are held or orders rest.
    """
    live = _settings()
    check_caps(live)
    names = ", ".join(live.names)
    if not yes:
        click.confirm(f"{live.venue}{_simulated(live)}: set modes, and leverage {live.leverage} for {names}?",
                      abort=True)  # fmt: skip
    asyncio.run(_set_up(live))


async def _set_up(live: LiveSettings) -> None:
    async with _clients(live) as clients:
        await clients[0].measure_clock()
        async for done in set_up(clients[0], live.names, live.leverage):
            say(f"  {done}")


@live.command()
@_REASON
def adopt(reason: str) -> None:
    """Accept the trades that were not the trader's: they are in its book, and it may open again."""
    answer = _tell("adopt", reason)
    say(f"{answer['adopted']} trades from outside adopted")


@live.command("raise")
@_REASON
def raise_cap(reason: str) -> None:
    """Lift the cap of the first day at a real venue (500 USDT gross) to DOLPHIN_LIVE_MAX_GROSS_USD.

    Refused before the account has traded for a day, and while anything is wrong with it.
    """
    answer = _tell("raise", reason)
    say(f"positions may now add up to {answer['max_gross_usd']:,.0f} USDT")


def _tell(act: str, reason: str) -> dict[str, Any]:
    live = _settings()
    if not live.instance:
        raise SettingsError(f"{PREFIX}INSTANCE is not set: no instance trades an account")
    request = {"act": act, "reason": reason, "who": getpass.getuser()}
    answer = ask(trader_socket(load_here().run_dir, live.instance), request)
    if not answer.get("ok"):
        raise SettingsError(str(answer.get("error")))
    return answer


@live.command()
@click.argument("day")
@instance_option("Whose live day.")
def replay(day: str, instance: str) -> None:
    """Decide a live DAY again from its journal and its scans: the same orders, to the last digit?

    Exit status: 0 the same, 1 not, with the first difference.
    """
    settings = load_here()
    with reading(settings.journal_dir(instance)) as db:
        if meta(db, MODE) != "live":
            raise JournalError(
                f"{instance} trades on paper: dolphin versus {day} backtests its day"
            )
    scans = scans_of(settings, day).scans(day)
    found = replay_live(settings.journal_dir(instance), instance, day, scans)
    if found.first_difference is None:
        say(f"{found.scans} scans, {found.orders} orders: the same to the last digit", fg="green")
    else:
        say(f"after {found.scans} scans: {found.first_difference}", err=True, fg="red")
    sys.exit(0 if found.first_difference is None else 1)


@live.command()
@click.option("--flatten", is_flag=True, help="Also close every position, reduce-only.")
@click.option("--reason", default="panic", help="Kept in the safety ledger.")
def panic(flatten: bool, reason: str) -> None:
    """HALT everything and cancel all orders at the venue; needs no trader, no grid, no NautilusTrader.

    Exit status: 0 done, 1 something is left, 3 the venue does not answer.
    """
    live, settings = _settings(), load_here()
    say(f"{live.venue}{_simulated(live)}: {_halt(settings, reason)}")
    left = asyncio.run(_panic(live, flatten=flatten))
    if left:
        say(f"LEFT: {', '.join(left)}", err=True, fg="red")
    elif flatten:
        say("flat", fg="green")
    sys.exit(1 if left else 0)


def _halt(settings: Settings, reason: str) -> str:
    """Order HALTED; where the safety service does not answer, write it to its ledger. Never fails."""
    who = getpass.getuser()
    request = {"action": "set", "level": "HALTED", "reason": reason, "who": who}
    try:
        if ask(settings.run_dir / SOCKET, request, timeout_s=HALT_S).get("ok"):
            return "HALTED ordered"
    except (ServiceError, OSError) as e:
        why = str(e)
    else:
        why = "the safety service refused it"
    try:
        ledger = CommandLog(settings.home / "safety" / "ledger.jsonl")
        ledger.add(OperatorCommand(action="set", posture=Posture.HALTED, reason=reason, who=who,
                                   at=datetime.now(UTC)))  # fmt: skip
        ledger.close()
    except OSError as e:
        return f"HALTED could NOT be written ({e}); going on"
    return f"HALTED written to the ledger ({why})"


async def _panic(live: LiveSettings, *, flatten: bool) -> list[str]:
    """Cancel, and close if asked to; return what is left, in words."""
    trade = read_key(f"{PREFIX}TRADE_KEY_FILE", live.trade_key_file)
    check_named(live, trade)
    rest = Rest(addresses_of(live).rest, trade.key, signer_of(trade.secret), spares=False)
    left = []
    try:
        await rest.measure_clock()
    except ANSWER_FAULTS as e:
        say(f"the venue's clock is not told: {e}")
    try:
        await last_resort.cancel_all(rest, say)
    except ANSWER_FAULTS as e:
        left.append(f"orders may rest: {e}")
    if flatten:
        left += await last_resort.flatten(rest, say)
    await rest.close()
    return left
