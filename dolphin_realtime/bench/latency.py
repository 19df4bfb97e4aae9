"""`dolphin bench latency`: latency from a visible scan file to the last order sent.

A separate stack runs the same services as `dolphin up`; real scan files are written one after
another and the stamps of all processes are joined. Only scans with orders count.
"""

import itertools
import os
import platform
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from dolphin_realtime.bench import bare, bare_grid
from dolphin_realtime.bench.histogram import histograms
from dolphin_realtime.bench.market import first_scan, label, make_market
from dolphin_realtime.bench.percentiles import percentiles_us
from dolphin_realtime.bench.stack import Stack, wait_for
from dolphin_realtime.grid import connection, maps, wire
from dolphin_realtime.grid.cluster import cluster_here
from dolphin_realtime.infra import trace
from dolphin_realtime.journal import database
from dolphin_realtime.model.errors import ServiceError
from dolphin_realtime.model.instant import DAY_US
from dolphin_realtime.model.market.scan import Scan, numbered
from dolphin_realtime.replay.market import Market
from dolphin_realtime.replay.pace import archive_days
from dolphin_realtime.scans.files import write_scan

INTERVAL_S: Final = 0.15
WARM_UP_SCANS: Final = 30
WARM_UP_DAYS: Final = 2
MIN_COUNTED: Final = 200
POSTURE_TIMEOUT_S: Final = 60.0
BARE_ROUNDS: Final = 200
STAGES: Final = {
    "file_to_read": ("visible", "read"),
    "put_to_callback": ("put", "callback"),
    "callback_to_first_order": ("callback", "first_order"),
    "callback_to_last_order": ("callback", "last_order"),
    "file_to_last_order": ("visible", "last_order"),
}

Key = tuple[int, int]


BANDS: Final = {16: 0.035, 50: 0.11, 160: 0.18, 400: 0.115, 2000: 0.01}
"""Band by number of assets that gives about five orders a scan at s_in 1.0, at 2,000 some hundred
(found by trial)."""


def thresholds(n_assets: int) -> dict[str, object]:
    """Return settings under which about five orders a scan are sent."""
    nearest = min(BANDS, key=lambda n: abs(n - n_assets))
    return {"target_band": BANDS[nearest], "signal_s_in": 1.0, "signal_s_out": 0.3}


def _scans(market: Market, first_us: int) -> Iterator[Scan]:
    rows = market.rows_of(first_us, 2**62)
    return numbered(scan for row in rows for scan in market.scans_at(row))


def _write(stack: Stack, market: Market, first_us: int, n_scans: int) -> dict[Key, int]:
    """Write scans one by one and return when each became visible.

    All scans are made before the first is written: spectra of many assets keep every core busy.
    """
    visible: dict[Key, int] = {}
    client = connection.connect_blocking(cluster_here("dolphin", stack.port), "bench", 10.0)
    safety = client.get_map(maps.SAFETY).blocking()

    def may_trade() -> bool:
        document = wire.decode(safety.get(maps.LATEST))
        return document is not None and document["posture"] == "NORMAL"

    scans = list(itertools.islice(_scans(market, first_us), n_scans + WARM_UP_SCANS))
    due = time.monotonic()
    for scan in scans:
        if scan.scan_number == WARM_UP_SCANS:
            wait_for(may_trade, POSTURE_TIMEOUT_S, "posture NORMAL")
        time.sleep(max(0.0, due - time.monotonic()))
        due = time.monotonic() + INTERVAL_S
        write_scan(stack.home / "scans", scan)
        visible[(1, scan.scan_number)] = time.monotonic_ns()
    client.shutdown()
    return visible


def _join(visible: dict[Key, int], folder: Path) -> dict[Key, dict[str, int]]:
    stamps: dict[Key, dict[str, int]] = {k: {"visible": at} for k, at in visible.items()}
    for file in folder.glob("*.jsonl"):
        for stage, epoch, number, at_ns in trace.read(file):
            stamps.setdefault((epoch, number), {}).setdefault(stage, at_ns)
    needed = {name for pair in STAGES.values() for name in pair}
    return {
        key: found
        for key, found in stamps.items()
        if needed <= found.keys() and key[1] > WARM_UP_SCANS
    }


def measure(
    n_assets: int, n_scans: int, svg: Path | None = None, *, is_rehearsed: bool = False
) -> dict[str, Any]:
    """Run a stack over ``n_scans`` scans of ``n_assets`` and return the distributions.

    Args:
        n_assets: Assets a scan.
        n_scans: Scans after the warm-up.
        svg: Where to draw the histograms; None: they are not drawn.
        is_rehearsed: Whether the trader rehearses before each scan.

    Raises:
        ServiceError: If the stack fails, or fewer than MIN_COUNTED scans had orders.
    """
    machine = {"cores": os.cpu_count(), "kernel": platform.release(), "load": os.getloadavg()[0]}
    stamps, n_orders = _stamps(n_assets, n_scans, "on" if is_rehearsed else "off")
    if len(stamps) < MIN_COUNTED:
        raise ServiceError(
            f"only {len(stamps)} scans had orders, {MIN_COUNTED} are needed: more --scans"
        )
    stages = {
        name: [(s[b] - s[a]) / 1000 for s in stamps.values()] for name, (a, b) in STAGES.items()
    }
    if svg is not None:
        title = f"{n_assets} assets, {len(stamps)} scans, load {machine['load']:.1f} at the start"
        svg.write_text(histograms(title, stages))
    return {
        "assets": n_assets,
        "scans": len(stamps),
        "orders_per_scan": round(n_orders / max(1, len(stamps)), 2),
        "prices": label(n_assets),
        "machine": machine,
        "rehearsed": is_rehearsed,
        "stages_us": {name: percentiles_us(values) for name, values in stages.items()},
        "bare_grid_us": bare_grid.measure(n_assets, BARE_ROUNDS, INTERVAL_S),
        "bare_nautilus_us": bare.measure(n_assets, BARE_ROUNDS, INTERVAL_S),
    }


def _stamps(n_assets: int, n_scans: int, rehearsal: str) -> tuple[dict[Key, dict[str, int]], int]:
    """Run a stack; return the stamps of the scans with orders, and the number of orders."""
    market = make_market(n_assets)
    with tempfile.TemporaryDirectory(prefix="dolphin-bench-") as scratch:
        home, traces = Path(scratch) / "home", Path(scratch) / "traces"
        traces.mkdir(parents=True)
        first = first_scan(market).timestamp_us
        begin = first // DAY_US * DAY_US
        archive_days(market, home / "archive", begin, begin + WARM_UP_DAYS * DAY_US)
        settings = {
            "trace": traces,
            "market_clock": "replay",
            "safety_cool_down_s": 1,
            "mhs_sources": "scan,safety,state",
            "warm_up_days": WARM_UP_DAYS,
            "rehearsal": rehearsal,
            **thresholds(n_assets),
        }
        with Stack(home, "--no-dagster", **settings) as stack:
            visible = _write(stack, market, begin + WARM_UP_DAYS * DAY_US, n_scans)
            orders = _count_orders(stack)
        return _join(visible, traces), orders


def _count_orders(stack: Stack) -> int:
    db = database.open_read_only(stack.home / "journal" / "BLUE")
    try:
        query = "SELECT count(*) FROM orders WHERE scan_number > ?"
        n_orders: int = db.execute(query, (WARM_UP_SCANS,)).fetchone()[0]
    finally:
        db.close()
    return n_orders
