"""An account at a venue, opened for trading: settings, keys, preflight, rules, reader.

Everything that must hold before a node is built belongs here; nothing but questions and listen
keys is sent. What happens afterwards is in live_trader.py.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import msgspec

from dolphin_realtime.config.live import (
    PREFIX,
    Addresses,
    KeyPair,
    LiveSettings,
    addresses_of,
    check_caps,
    check_meant,
    read_key,
    refuse_foreign,
)
from dolphin_realtime.infra import log
from dolphin_realtime.model.errors import SettingsError, VenueBlocked, VenueError
from dolphin_realtime.model.market.instrument import InstrumentSpec
from dolphin_realtime.model.market.venue import Venue
from dolphin_realtime.model.risk.pre_trade import PreTradeParams
from dolphin_realtime.venues.binance.clients import clients_of
from dolphin_realtime.venues.binance.preflight import gather, judge, wanted_of
from dolphin_realtime.venues.binance.rest import Rest
from dolphin_realtime.venues.binance.rules import tradable, venue_of

TRIES: Final = 30
PAUSE_S: Final = 2.0
FIRST_DAY_USD: Final = 500.0
"""Largest gross on a real venue until a person raises it (docs/live.md)."""


class LiveAccount(msgspec.Struct, frozen=True, kw_only=True):
    """An account that passed the preflight.

    Attributes:
        read: Client of the reading key: the only one that Dolphin itself asks with.
        trade_key: The trading key, for the node alone.
        specs: Rules of the names that may be traded.
    """

    live: LiveSettings
    addresses: Addresses
    read: Rest
    trade_key: KeyPair
    venue: Venue
    specs: dict[str, InstrumentSpec]

    def limits(self, limits: PreTradeParams, *, is_raised: bool) -> PreTradeParams:
        """Return the pre-trade limits with the account's caps; the stricter bound holds."""
        live = self.live
        is_first = live.venue == "live" and not is_raised
        gross_usd = min(live.max_gross_usd, FIRST_DAY_USD) if is_first else live.max_gross_usd
        return msgspec.structs.replace(
            limits,
            allow=",".join(live.names),
            max_order_usd=min(limits.max_order_usd, live.max_order_usd),
            max_gross_usd=min(limits.max_gross_usd, gross_usd),
            max_orders_per_minute=min(limits.max_orders_per_minute, live.max_orders_per_minute),
            max_daily_loss_usd=min(limits.max_daily_loss_usd, live.max_daily_loss_usd),
        )


@asynccontextmanager
async def opened(live: LiveSettings, taker_fee_bps: float) -> AsyncIterator[LiveAccount]:
    """Yield the account, once every rule holds; its connections are closed afterwards.

    Raises:
        SettingsError: If a setting, a key or a rule of the preflight stops it: a person must act.
        VenueError: If the venue does not answer.
    """
    refuse_foreign(dict(os.environ))
    addresses = addresses_of(live)
    check_caps(live)
    trade = read_key(f"{PREFIX}TRADE_KEY_FILE", live.trade_key_file)
    read = read_key(f"{PREFIX}READ_KEY_FILE", live.read_key_file)
    check_meant(live, trade)
    clients = clients_of(addresses, trade, read)
    try:
        yield await _patiently(live, addresses, clients, trade, taker_fee_bps)
    finally:
        for client in clients:
            await client.close()


async def _patiently(
    live: LiveSettings, addresses: Addresses, clients: list[Rest], trade: KeyPair, fee_bps: float
) -> LiveAccount:
    """Return the account; a venue that does not answer is asked again, and a refusal once."""
    refused = 0
    for _ in range(TRIES):
        try:
            return await _judged(live, addresses, clients, trade, fee_bps)
        except SettingsError:
            refused += 1
            if refused == 2:
                raise
        except VenueError as e:
            log.get().warning("trader.venue_not_ready", why=str(e))
        await asyncio.sleep(max(PAUSE_S, *(client.blocked_s for client in clients)))
    raise VenueError("the venue did not let itself be asked")


async def _judged(
    live: LiveSettings, addresses: Addresses, clients: list[Rest], trade: KeyPair, fee_bps: float
) -> LiveAccount:
    rights = (clients[2], clients[3]) if addresses.rights else None
    facts = await gather(clients[0], clients[1], rights)
    found = [one for one in judge(facts, wanted_of(live)) if not one.ok]
    refused = [one.says for one in found]
    if [one.rule for one in found] == ["weight"]:
        raise VenueBlocked(refused[0])  # over within a minute
    if refused:
        raise SettingsError("this account may not be traded: " + "; ".join(refused))
    info = await clients[1].public("/fapi/v1/exchangeInfo")
    try:
        venue = venue_of(info, trade.key[-4:], fee_bps)
    except msgspec.DecodeError as e:
        raise VenueError(f"exchangeInfo is not what was agreed: {e}") from None
    return LiveAccount(
        live=live, addresses=addresses, read=clients[1], trade_key=trade, venue=venue,
        specs=tradable(venue, live.names),
    )  # fmt: skip
