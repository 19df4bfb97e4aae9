"""`dolphin bench idle`: what a stack costs while nothing happens, by service and for a day.

Measuring belongs here: processor, memory, processes, and what is written to disk.
"""

import sqlite3
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

import msgspec

from dolphin_realtime.bench.cpu import cpu_s
from dolphin_realtime.bench.memory import rss_mb
from dolphin_realtime.bench.runs import below
from dolphin_realtime.bench.stack import Stack

DAY_S: Final = 86_400.0
SETTLE_S: Final = 60.0
"""Time to wait after the start, when the stack is not idle yet."""


class Cost(msgspec.Struct, kw_only=True):
    """The cost of one service with its children: percent of a core, megabytes, processes."""

    cpu_percent: float
    rss_mb: float
    processes: int


class Report(msgspec.Struct, kw_only=True):
    """What was measured.

    Attributes:
        seconds: Duration of the measurement.
        services: Cost by service name; the runner itself is `runner`.
        total: Cost of all services.
        dagster_events_a_day: New rows of Dagster's event log, scaled to a day.
        mb_a_day: Growth of each folder of the home, scaled to a day, without retention.
    """

    seconds: float
    services: dict[str, Cost]
    total: Cost
    dagster_events_a_day: float
    mb_a_day: dict[str, float]


def bench_idle(seconds: float, *, is_demo: bool, say: Callable[[str], None]) -> Report:
    """Start a stack of its own, let it settle, watch it and report.

    Args:
        seconds: How long to watch.
        is_demo: Replay the sample and ask replayed sources; else there are no scans or sources.
        say: Called with each step.

    Raises:
        ServiceError: If the stack does not come up.
    """
    options = ["--demo"] if is_demo else []
    with (
        tempfile.TemporaryDirectory(prefix="dolphin-idle-") as folder,
        Stack(Path(folder) / "home", *options) as stack,
    ):
        say(f"settling for {SETTLE_S:.0f} s")
        time.sleep(SETTLE_S)
        say(f"watching for {seconds:.0f} s")
        before, began = _reading(stack), time.monotonic()
        time.sleep(seconds)
        return _report(stack, before, time.monotonic() - began)


class _Reading(msgspec.Struct, kw_only=True):
    cpu_s: dict[str, float]
    events: int
    sizes: dict[str, int]


def _pids(stack: Stack) -> dict[str, int]:
    running = {s.name: s.pid for s in stack.services() if s.pid is not None}
    return {**running, "runner": stack.pid}


def _tree(name: str, pid: int, of_services: set[int]) -> list[int]:
    """Return a service's processes; those of the runner belong to no service."""
    found = below(pid)
    return [p for p in found if p not in of_services] if name == "runner" else found


def _trees(stack: Stack) -> dict[str, list[int]]:
    pids = _pids(stack)
    of_services = {p for name, pid in pids.items() if name != "runner" for p in below(pid)}
    return {name: _tree(name, pid, of_services) for name, pid in pids.items()}


def _reading(stack: Stack) -> _Reading:
    trees = _trees(stack)
    seconds = {
        name: sum(cpu_s(pid, with_reaped=True) for pid in (pids[:1] if name == "runner" else pids))
        for name, pids in trees.items()
    }
    sizes = {
        entry.name: sum(p.stat().st_size for p in entry.rglob("*") if p.is_file())
        for entry in stack.home.iterdir()
        if entry.is_dir()
    }
    return _Reading(cpu_s=seconds, events=_events(stack.home), sizes=sizes)


def _events(home: Path) -> int:
    path = home / "dagster" / "history" / "runs" / "index.db"
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        return int(db.execute("SELECT max(id) FROM event_logs").fetchone()[0] or 0)


def _report(stack: Stack, before: _Reading, seconds: float) -> Report:
    after = _reading(stack)
    services = {
        name: Cost(
            cpu_percent=100 * (after.cpu_s[name] - before.cpu_s.get(name, 0.0)) / seconds,
            rss_mb=sum(rss_mb(pid) for pid in pids),
            processes=len(pids),
        )
        for name, pids in _trees(stack).items()
    }
    total = Cost(
        cpu_percent=sum(cost.cpu_percent for cost in services.values()),
        rss_mb=sum(cost.rss_mb for cost in services.values()),
        processes=sum(cost.processes for cost in services.values()),
    )
    scale = DAY_S / seconds
    grown = {name: size - before.sizes.get(name, 0) for name, size in after.sizes.items()}
    return Report(
        seconds=seconds,
        services=services,
        total=total,
        dagster_events_a_day=(after.events - before.events) * scale,
        mb_a_day={name: n * scale / 1e6 for name, n in grown.items() if n},
    )
