"""The latency of NautilusTrader alone: five market orders sent in one callback, after a pause.

It is the lower bound of `dolphin bench latency` on this machine at this time: the same node and
simulated venue, without signal, pre-trade limits and journal.
"""

import asyncio
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import uvloop

from dolphin_realtime.bench.in_process import session_of
from dolphin_realtime.bench.market import make_table
from dolphin_realtime.bench.percentiles import percentiles_us
from dolphin_realtime.model.orders import InFlight, OrderIntent
from dolphin_realtime.model.portfolio.portfolio import Portfolio

ORDERS: Final = 5
WARM_UP: Final = 20


def measure(n_assets: int, rounds: int, pause_s: float) -> dict[str, Any]:
    """Return microseconds from the callback to the first and to the last order returned."""
    return uvloop.run(_measure(n_assets, rounds, pause_s))


async def _measure(n_assets: int, rounds: int, pause_s: float) -> dict[str, Any]:
    portfolio = Portfolio("BARE")
    assets = make_table(n_assets).assets
    portfolio.add_instruments(assets)
    first, last = [], []
    with tempfile.TemporaryDirectory(prefix="dolphin-bare-") as folder:
        async with session_of(portfolio, Path(folder)) as session:
            for n in range(WARM_UP + rounds):
                await asyncio.sleep(pause_s)
                orders = [_order(n, k, assets) for k in range(ORDERS)]
                began = time.monotonic_ns()
                portfolio.in_flight.update({o.client_order_id: o for o in orders})
                first_ns, last_ns = session.engine.send(orders)
                if n >= WARM_UP:
                    first.append((first_ns - began) / 1000)
                    last.append((last_ns - began) / 1000)
                await session.turn.halt()
    return {"first": percentiles_us(first), "last": percentiles_us(last)}


def _order(n: int, k: int, assets: list[str]) -> InFlight:
    asset = assets[(n * ORDERS + k) % len(assets)]
    intent = OrderIntent(asset=asset, side="BUY", quantity=1.0, leg="O", is_reduce_only=False)
    return InFlight(
        client_order_id=f"BARE-{n}-{k}", order=intent, epoch=1, scan_number=n, decided_us=n + 1
    )
