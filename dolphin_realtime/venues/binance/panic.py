"""The last resort: cancel every order of an account, and close every position, by REST alone.

It needs no trader, no NautilusTrader and no grid. Positions are closed by what the venue says is
held, reduce-only, and asked for again until none is left.
"""

import asyncio
import secrets
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

import msgspec

from dolphin_realtime.model.errors import VenueError, VenueRefused
from dolphin_realtime.venues.binance.documents import HeldPosition, read_positions
from dolphin_realtime.venues.binance.rest import Rest

ROUNDS: Final = 8
PAUSE_S: Final = 0.5
ID: Final = "PANIC-"
"""How the client ids of its orders begin: a trader books them as trades from outside."""
CANCELS: Final = ("/fapi/v1/allOpenOrders", "/fapi/v1/algoOpenOrders")
OPEN: Final = ("/fapi/v1/openOrders", "/fapi/v1/openAlgoOrders")


async def cancel_all(rest: Rest, say: Callable[[str], None]) -> int:
    """Cancel every resting order, conditional ones included; return how many symbols had one.

    Raises:
        VenueError: If the venue does not say which orders rest.
    """
    found = [msgspec.json.decode(await rest.get(path), type=list[dict[str, Any]]) for path in OPEN]
    symbols = sorted({str(one["symbol"]) for orders in found for one in orders})
    for symbol in symbols:
        for path in CANCELS:
            try:
                await rest.send("DELETE", path, symbol=symbol)
                say(f"{symbol}: cancelled ({path.rpartition('/')[2]})")
            except VenueError as e:
                say(f"{symbol}: NOT cancelled ({path.rpartition('/')[2]}): {e}")
    return len(symbols)


async def flatten(rest: Rest, say: Callable[[str], None]) -> dict[str, Decimal]:
    """Close every position, reduce-only; return what is left after ROUNDS tries."""
    held: dict[str, HeldPosition] = {}
    for _ in range(ROUNDS):
        try:
            held = read_positions(await rest.get("/fapi/v3/positionRisk"))
        except (VenueError, msgspec.DecodeError) as e:
            say(f"positions are not told: {e}")
            await asyncio.sleep(max(PAUSE_S, rest.blocked_s))
            continue
        if not held:
            return {}
        await asyncio.gather(*(_close(rest, one, say) for one in held.values()))
        await asyncio.sleep(PAUSE_S)
    return {symbol: one.quantity for symbol, one in held.items()}


async def _close(rest: Rest, one: HeldPosition, say: Callable[[str], None]) -> None:
    side = "SELL" if one.quantity > 0 else "BUY"
    size = format(abs(one.quantity), "f")
    try:
        await rest.send(
            "POST", "/fapi/v1/order", symbol=one.symbol, side=side, type="MARKET", quantity=size,
            reduceOnly="true", newClientOrderId=f"{ID}{secrets.token_hex(8)}",
        )  # fmt: skip
    except VenueRefused as e:
        say(f"{one.symbol}: {side} {size} refused: {e}")
    except VenueError as e:
        say(f"{one.symbol}: {side} {size}: no answer ({e}); its position is asked for again")
    else:
        say(f"{one.symbol}: {side} {size}, reduce-only")
