"""`dolphin live`: an account at a venue, before anything trades on it."""

import asyncio
import os
import sys

import click
import msgspec

from dolphin_realtime.cli.app import say
from dolphin_realtime.config.live import (
    PREFIX,
    Addresses,
    KeyPair,
    LiveSettings,
    addresses_of,
    check_caps,
    check_named,
    read_key,
    refuse_foreign,
)
from dolphin_realtime.config.settings import load_group
from dolphin_realtime.venues.binance.clients import clients_of
from dolphin_realtime.venues.binance.preflight import Facts, Finding, Wanted, gather, judge


@click.group()
def live() -> None:
    """Check an account at the venue before anything trades on it; asks and changes nothing.

    Dolphin itself trades on paper alone.

    \b
    Examples: dolphin live check          is this account fit for trading? asks, changes nothing
    """


@live.command()
@click.option("--json", "as_json", is_flag=True, help="One line of JSON: a list of findings.")
def check(as_json: bool) -> None:
    """Check keys, modes, names, caps, clock and orders of the account in DOLPHIN_LIVE_*.

    Exit status: 0 every rule holds, 1 one does not, 2 settings, 3 the venue does not answer, or refuses a key.
    """
    settings = load_group(LiveSettings, PREFIX)
    refuse_foreign(dict(os.environ))
    addresses = addresses_of(settings)
    check_caps(settings)
    trade = read_key(f"{PREFIX}TRADE_KEY_FILE", settings.trade_key_file)
    read = read_key(f"{PREFIX}READ_KEY_FILE", settings.read_key_file)
    check_named(settings, trade)
    facts = asyncio.run(_facts(addresses, trade, read))
    wanted = Wanted(
        names=settings.names, leverage=settings.leverage, max_order_usd=settings.max_order_usd,
        max_gross_usd=settings.max_gross_usd,
    )  # fmt: skip
    findings = judge(facts, wanted)
    _show(findings, settings, as_json=as_json)
    sys.exit(0 if all(one.ok for one in findings) else 1)


async def _facts(addresses: Addresses, trade: KeyPair, read: KeyPair) -> Facts:
    clients = clients_of(addresses, trade, read)
    try:
        rights = (clients[2], clients[3]) if addresses.rights else None
        return await gather(clients[0], clients[1], rights)
    finally:
        for client in clients:
            await client.close()


def _show(findings: list[Finding], settings: LiveSettings, *, as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.encode(findings).decode())
        return
    simulated = " (SIMULATED)" if settings.venue == "loopback" else ""
    say(f"{settings.venue}{simulated}")
    for one in findings:
        say(
            f"  {'ok' if one.ok else 'NO':3} {one.rule:16} {one.says}",
            fg="green" if one.ok else "red",
        )
