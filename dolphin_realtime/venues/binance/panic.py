"""The last resort: cancel every order of an account, and close every position, by REST alone.

It needs no trader, no NautilusTrader and no grid. Positions are closed by what the venue says is
held, reduce-only, and asked for again until none is left.
"""

import asyncio
import secrets
import time
from collections.abc import Callable
from decimal import ROUND_DOWN
from typing import Any, Final

import msgspec

from dolphin_realtime.model.errors import VenueError, VenueRefused
from dolphin_realtime.venues.binance.documents import HeldPosition, read_positions
from dolphin_realtime.venues.binance.rest import Rest
from dolphin_realtime.venues.binance.stream import ANSWER_FAULTS

PATIENCE_S: Final = 30.0
"""How long it goes on where the venue does not answer or positions are left."""
PAUSE_S: Final = 0.5
TOO_MUCH: Final = -4005
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


async def flatten(rest: Rest, say: Callable[[str], None]) -> list[str]:
    """Close every position, reduce-only, until the venue says that none is left.

    Returns:
        What is left after PATIENCE_S, in words: also that it is not known.
    """
    deadline = time.monotonic() + PATIENCE_S
    left = ["positions: the venue did not tell them"]
    while time.monotonic() < deadline:
        try:
            held = read_positions(await rest.get("/fapi/v3/positionRisk"))
        except ANSWER_FAULTS as e:
            say(f"positions are not told: {e}")
            await asyncio.sleep(max(PAUSE_S, rest.blocked_s))
            continue
        left = [f"{one.quantity} {symbol}" for symbol, one in held.items()]
        if not held:
            return []
        await asyncio.gather(*(_close(rest, one, say) for one in held.values()))
        await asyncio.sleep(PAUSE_S)
    return left


async def _close(rest: Rest, one: HeldPosition, say: Callable[[str], None]) -> None:
    """Send one order that closes a position, or as much of it as the venue takes at once."""
    quantity = abs(one.quantity)
    while not await _sent(rest, one, format(quantity, "f"), say):
        quantity = (quantity / 2).quantize(one.quantity, rounding=ROUND_DOWN)
        if not quantity:
            return


async def _sent(rest: Rest, one: HeldPosition, size: str, say: Callable[[str], None]) -> bool:
    """Send a reduce-only order; return False where it is more than the venue takes at once."""
    side = "SELL" if one.quantity > 0 else "BUY"
    try:
        await rest.send(
            "POST", "/fapi/v1/order", symbol=one.symbol, side=side, type="MARKET", quantity=size,
            reduceOnly="true", newClientOrderId=f"{ID}{secrets.token_hex(8)}",
        )  # fmt: skip
    except VenueRefused as e:
        say(f"{one.symbol}: {side} {size} refused: {e}")
        return e.code != TOO_MUCH
    except VenueError as e:
        say(f"{one.symbol}: {side} {size}: no answer ({e}); its position is asked for again")
    else:
        say(f"{one.symbol}: {side} {size}, reduce-only")
    return True
