"""What a venue lists, and its past minutes of mark prices, Binance USD-M's wire format."""

import asyncio
from typing import Any, Final

import msgspec

from dolphin_realtime.config.settings import listed
from dolphin_realtime.factors.polite_client import PoliteClient
from dolphin_realtime.model.errors import BookSourceError
from dolphin_realtime.model.instant import MINUTE_US
from dolphin_realtime.model.market.asset_names import is_allowed
from dolphin_realtime.model.market.mark_feed import price_of

AT_ONCE: Final = 4
FILL_S: Final = 20.0
Closes = list[tuple[int, float]]
"""A minute since the epoch and its close, each."""
CANDLES: Final = 499
"""Minutes asked for at once: the most that weighs 2; enough for a trader to be warm (3 tau_x)."""


class Symbol(msgspec.Struct):
    """A contract of `exchangeInfo`."""

    symbol: str
    status: str
    contract_type: str = msgspec.field(name="contractType")
    quote: str = msgspec.field(name="quoteAsset")


class _Info(msgspec.Struct):
    symbols: list[Symbol]


class _Day(msgspec.Struct):
    symbol: str
    turnover: str = msgspec.field(name="quoteVolume")


async def universe(venue: PoliteClient, wanted: str, most: int) -> list[str]:
    """Return the assets to scan: those that are wanted, else the perpetuals with the most turnover.

    An asset that the venue does not trade now, or whose name is none, is left out.

    Raises:
        BookSourceError: If the venue does not answer, its answer is not of the known form, or lists none.
    """
    info = _read(await venue.get("/fapi/v1/exchangeInfo", "exchangeInfo"), _Info, "exchangeInfo")
    open_now = {s.symbol for s in info.symbols
                if s.status == "TRADING" and s.contract_type == "PERPETUAL" and s.quote == "USDT"
                and is_allowed(s.symbol)}  # fmt: skip
    if wanted:
        found = [
            asset for asset in dict.fromkeys(map(str.upper, listed(wanted))) if asset in open_now
        ]
    else:
        body = await venue.get("/fapi/v1/ticker/24hr", "ticker/24hr")
        days = _read(body, list[_Day], "ticker/24hr")
        turnover = {d.symbol: price_of(d.turnover) or 0.0 for d in days if d.symbol in open_now}
        found = sorted(sorted(turnover, key=lambda asset: (-turnover[asset], asset))[:most])
    if not found:
        raise BookSourceError("the venue lists none of the wanted assets")
    return found


async def past_closes(venue: PoliteClient, assets: list[str], minute: int) -> dict[str, Closes]:
    """Return the closes of the past minutes of each asset for which the venue has given them.

    What has not come within FILL_S is given up.

    Args:
        venue: Where to ask.
        assets: Whose closes.
        minute: The last whole minute: a later candle is not over yet.
    """
    gate, found = asyncio.Semaphore(AT_ONCE), dict[str, Closes]()
    deadline = asyncio.get_running_loop().time() + FILL_S

    async def of(asset: str) -> None:
        try:
            async with gate, asyncio.timeout_at(deadline):
                body = await venue.get(
                    "/fapi/v1/markPriceKlines", f"candles of {asset}", symbol=asset, interval="1m",
                    limit=CANDLES,
                )  # fmt: skip
            candles = _read(body, list[list[Any]], f"candles of {asset}")
            closes = [(int(c[0]) * 1000 // MINUTE_US, float(c[4])) for c in candles]
        except (BookSourceError, TimeoutError, IndexError, TypeError, ValueError, OverflowError):
            return
        found[asset] = [(opened, close) for opened, close in closes if opened <= minute]

    await asyncio.gather(*map(of, assets))
    return found


def _read[T](body: bytes, kind: type[T], what: str) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as e:
        raise BookSourceError(f"{what}: {e}") from e
