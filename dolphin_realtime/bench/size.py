"""`dolphin bench size`: many assets, several traders, a member that dies meanwhile: what is held and lost.

A stack of its own trades scans at a fixed interval; memory of each service and the member's heap are
sampled. Prices beyond the sample's assets are simulated, and their spectra are used in turn.
"""

import itertools
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from dolphin_realtime.bench.latency import thresholds
from dolphin_realtime.bench.market import first_scan, label, make_market
from dolphin_realtime.bench.memory import rss_mb
from dolphin_realtime.bench.percentiles import percentiles_us
from dolphin_realtime.bench.stack import Stack, wait_for
from dolphin_realtime.config.services import HAZELCAST
from dolphin_realtime.config.settings import Settings
from dolphin_realtime.grid.member.size import heap_mb
from dolphin_realtime.journal import database
from dolphin_realtime.model.errors import ServiceError
from dolphin_realtime.model.instant import DAY_US, from_us
from dolphin_realtime.model.market.scan import Scan, numbered
from dolphin_realtime.replay.market import Market
from dolphin_realtime.scans.archive import write_archive
from dolphin_realtime.scans.files import write_scan

WARM_UP_US: Final = 4 * 3_600_000_000
SAMPLE_S: Final = 5.0
LAST_S: Final = 120.0


class Report(msgspec.Struct, kw_only=True):
    """What was measured.

    Attributes:
        heap_mb: The member's largest heap.
        heap_share: The most of it that was in use at a sample.
        rss_mb: The most that each service held, its children included.
        lost: Scans that are in no record, by trader.
        followed: Scans that a trader caught up with: too late to act on.
        orders: Orders by trader.
        latency_us: From the callback to the last order, by trader.
        journal_kb_a_scan: Size of the journal's database a scan, by trader.
    """

    assets: int
    prices: str
    load: float
    scans: int
    interval_s: float
    member_kills: int
    heap_mb: int
    heap_share: float
    rss_mb: dict[str, int]
    lost: dict[str, int]
    followed: dict[str, int]
    orders: dict[str, int]
    latency_us: dict[str, dict[str, float]]
    journal_kb_a_scan: dict[str, float]


def bench_size(
    n_assets: int, n_instances: int, n_scans: int, interval_s: float, n_kills: int
) -> Report:
    """Run a stack over ``n_scans`` and return what it held and lost.

    Raises:
        ServiceError: If the stack fails, or does not take the last scan.
    """
    market, load_before = make_market(n_assets), os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="dolphin-size-") as scratch:
        home = Path(scratch) / "home"
        day = first_scan(market).timestamp_us // DAY_US * DAY_US + DAY_US
        before = numbered(_scans(market, day - WARM_UP_US, day))
        yesterday = f"{from_us(day - DAY_US):%Y-%m-%d}.parquet"
        write_archive(home / "archive" / yesterday, ((scan, "bench") for scan in before))
        instances = [f"T{n}" for n in range(n_instances)]
        settings = {
            "market_clock": "replay",
            "safety_cool_down_s": 1,
            "mhs_sources": "scan,safety,state",
            "warm_up_days": 1,
            "assets_max": n_assets,
            "instances": ",".join(instances),
            "start_limit_burst": 50,
            **thresholds(n_assets),
        }
        scans = list(itertools.islice(numbered(_scans(market, day, 2**62)), n_scans))
        with Stack(home, "--no-dagster", **settings) as stack:
            run = _Run(stack, instances, heap_mb(Settings(assets_max=n_assets)))
            run.trade(scans, interval_s, n_kills)
            return Report(
                assets=n_assets, prices=label(n_assets), load=load_before, scans=n_scans,
                interval_s=interval_s, member_kills=n_kills, **run.found(n_scans),
            )  # fmt: skip


def _scans(market: Market, first_us: int, last_us: int) -> Iterator[Scan]:
    return (scan for row in market.rows_of(first_us, last_us) for scan in market.scans_at(row))


class _Run:
    """A stack under scans: feeding, killing the member, sampling."""

    def __init__(self, stack: Stack, instances: list[str], heap: int) -> None:
        self._stack, self._instances, self._heap_mb = stack, instances, heap
        self._heap_used, self._rss = 0.0, dict[str, int]()
        self._sampled_at = 0.0

    def trade(self, scans: list[Scan], interval_s: float, n_kills: int) -> None:
        """Write the scans, kill the member at equal distances, and wait for the last scan."""
        kills = {len(scans) * n // (n_kills + 1) for n in range(1, n_kills + 1)}
        due = time.monotonic()
        for scan in scans:
            time.sleep(max(0.0, due - time.monotonic()))
            due = max(due, time.monotonic() - interval_s) + interval_s
            write_scan(self._stack.home / "scans", scan)
            if scan.scan_number in kills:
                os.kill(self._member(), signal.SIGKILL)
            if time.monotonic() - self._sampled_at > SAMPLE_S:
                self._sample()
        is_done = lambda: all(self._last(i) == len(scans) for i in self._instances)  # noqa: E731
        wait_for(is_done, LAST_S, "the last scan at every trader")
        self._sample()

    def _member(self) -> int:
        (beat,) = [s for s in self._stack.services() if s.name == HAZELCAST]
        if beat.pid is None:
            raise ServiceError("the member does not run")
        return children(beat.pid)[0]

    def _sample(self) -> None:
        self._sampled_at = time.monotonic()
        for service in self._stack.services():
            if service.pid is not None:
                pids = [service.pid, *children(service.pid)]
                rss = round(sum(rss_mb(pid) for pid in pids))
                self._rss[service.name] = max(self._rss.get(service.name, 0), rss)
                if service.name == HAZELCAST and len(pids) > 1:
                    self._heap_used = max(self._heap_used, _heap_used_mb(pids[1]))

    def _query(self, instance: str, text: str) -> Any:
        db = database.open_read_only(self._stack.home / "journal" / instance)
        try:
            return db.execute(text).fetchone()[0]
        finally:
            db.close()

    def _last(self, instance: str) -> int:
        return self._query(instance, "SELECT max(scan_number) FROM equity") or 0

    def found(self, n_scans: int) -> dict[str, Any]:
        """Return the fields of the report."""
        each = {"followed": "SELECT count(*) FROM equity WHERE NOT is_acted_on",
                "orders": "SELECT count(*) FROM orders"}  # fmt: skip
        found: dict[str, Any] = {
            name: {i: self._query(i, text) for i in self._instances} for name, text in each.items()
        }
        taken = "SELECT count(*) FROM equity"
        found["lost"] = {i: n_scans - self._query(i, taken) for i in self._instances}
        latency = "SELECT json_group_array(latency_us) FROM equity WHERE latency_us IS NOT NULL"
        found["latency_us"] = {
            i: percentiles_us(msgspec.json.decode(self._query(i, latency)) or [0.0])
            for i in self._instances
        }
        sizes = {i: database.path_of(self._stack.home / "journal" / i) for i in self._instances}
        found["journal_kb_a_scan"] = {
            i: round(path.stat().st_size / 1024 / n_scans, 1) for i, path in sizes.items()
        }
        heap = {"heap_mb": self._heap_mb, "heap_share": round(self._heap_used / self._heap_mb, 2)}
        return {**found, **heap, "rss_mb": self._rss}


def children(pid: int) -> list[int]:
    """Return the processes that a process started."""
    return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _heap_used_mb(pid: int) -> float:
    """Return the heap that a JVM uses after a collection, as its JDK says; 0 if it cannot be asked."""
    jcmd = shutil.which("jcmd")
    if jcmd is None:
        return 0.0
    said = ""
    for question in ("GC.run", "GC.heap_info"):
        asked = [jcmd, str(pid), question]
        said = subprocess.run(asked, capture_output=True, text=True, check=False, timeout=30).stdout
    used = re.findall(r"used (\d+)K", said)
    return sum(map(int, used[:2])) / 1024
