"""`dolphin bench soak`: memory and time over tens of thousands of orders of one trader.

A scan processor in this process sends many orders a scan at a steady rate; then a trader process
opens the same journal again. Prices beyond the sample's assets are simulated.
"""

import asyncio
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, Final

import msgspec
import uvloop

from dolphin_realtime.bench.in_process import session_of
from dolphin_realtime.bench.market import label, make_market
from dolphin_realtime.bench.percentiles import percentiles_us
from dolphin_realtime.bench.signal import first_scans
from dolphin_realtime.bench.stack import Stack
from dolphin_realtime.journal.check import check
from dolphin_realtime.model.errors import ServiceError
from dolphin_realtime.model.market.scan import Scan
from dolphin_realtime.model.portfolio.decision import TargetParams
from dolphin_realtime.model.portfolio.portfolio import Portfolio
from dolphin_realtime.model.risk.permission import TradingPermission
from dolphin_realtime.model.risk.pre_trade import PreTradeParams
from dolphin_realtime.model.signal.params import SignalParams
from dolphin_realtime.scans.files import write_scan

WARM_UP_SCANS: Final = 400
EDGE_ORDERS: Final = 5000
SAMPLES: Final = 20
SIGNAL: Final = SignalParams(s_in=0.5, s_out=0.2)
TARGET: Final = TargetParams(band=0.012)
LIMITS: Final = PreTradeParams(max_orders_per_minute=1_000_000)


class Turn(msgspec.Struct, frozen=True):
    """One scan: orders sent, microseconds per order sent and per fill booked and journalled."""

    orders: int
    us_per_order: float
    finish_us_per_fill: float


def measure(n_assets: int, n_orders: int, rate: float) -> dict[str, Any]:
    """Return memory, threads and time per order over a run of ``n_orders``.

    Raises:
        ServiceError: If an identity of the journal does not hold at the end.
    """
    with tempfile.TemporaryDirectory(prefix="dolphin-soak-") as scratch:
        home = Path(scratch)
        folder = home / "journal" / "SOAK"
        result = uvloop.run(_run(n_assets, n_orders, rate, folder))
        checked = check(folder)
        if not checked.ok:
            raise ServiceError(f"the journal broke: {checked.first_break}")
        result["journal_rows"] = checked.rows
        result["restart_s"] = _restart_s(home, result.pop("next_scan"))
    return result


async def _run(n_assets: int, n_orders: int, rate: float, folder: Path) -> dict[str, Any]:
    scans = first_scans(make_market(n_assets), 5000)
    portfolio = Portfolio("SOAK", SIGNAL, TARGET, None, LIMITS)
    for scan in scans[:WARM_UP_SCANS]:
        portfolio.warm_up(scan)
    turns: list[Turn] = []
    rss: list[float] = []
    threads, sent = 0, 0
    async with session_of(portfolio, folder) as session:
        queue = iter(scans[WARM_UP_SCANS:])
        due = time.monotonic()
        while sent < n_orders:
            fills_before = session.booking.n_fills
            began = time.monotonic_ns()
            scan = next(queue)
            plan = session.begin(scan, TradingPermission())
            ended = plan.sent_ns[1] if plan.sent_ns else began
            await session.finish(plan)
            n, fills = len(plan.orders), session.booking.n_fills - fills_before
            finish_us = (time.monotonic_ns() - ended) / 1000
            if n:
                turns.append(Turn(n, (ended - began) / 1000 / n, finish_us / max(1, fills)))
            sent += n
            threads = max(threads, _threads())
            if len(rss) < SAMPLES * sent / n_orders:
                rss.append(_rss_mb())
            due = max(due + n / rate, time.monotonic() - 1.0)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
        fills = session.booking.n_fills
    edges = _edge(turns), _edge(turns[::-1])
    return {
        "assets": n_assets,
        "prices": label(n_assets),
        "orders": sent,
        "fills": fills,
        "scans": len(turns),
        "threads_max": threads,
        "python_threads": threading.active_count(),
        "rss_mb": [round(x) for x in rss],
        "us_per_order": {"first_5000": edges[0]["send"], "last_5000": edges[1]["send"]},
        "finish_us_per_fill": {"first_5000": edges[0]["finish"], "last_5000": edges[1]["finish"]},
        "next_scan": next(queue),
    }


def _edge(turns: list[Turn]) -> dict[str, dict[str, float]]:
    taken, count = [], 0
    for turn in turns:
        if count >= EDGE_ORDERS:
            break
        taken.append(turn)
        count += turn.orders
    return {
        "send": percentiles_us([t.us_per_order for t in taken]),
        "finish": percentiles_us([t.finish_us_per_fill for t in taken]),
    }


def _threads() -> int:
    return sum(1 for _ in Path("/proc/self/task").iterdir())


def _rss_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def _restart_s(home: Path, scan: Scan) -> float:
    """Return how long a trader process takes to start and journal one more scan."""
    write_scan(home / "next", scan)
    env = Stack(home, instances="SOAK", target_band=TARGET.band).env
    command = [sys.executable, "-m", "dolphin_realtime.cli", "service", "trader", "SOAK"]
    began = time.monotonic()
    done = subprocess.run(
        [*command, "--scans", str(home / "next")], env=env, capture_output=True, check=False
    )
    took = time.monotonic() - began
    if done.returncode:
        raise ServiceError(f"the restart failed: {done.stderr.decode()[-2000:]}")
    return round(took, 2)
