"""`dolphin bench runs`: runs every indicator at once, several times, and measures the cost.

Launching, sampling and judging the queue belong here. It checks that a pool's limit holds: never
two of its runs at a time, no run lost, processes bounded.
"""

import itertools
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

import msgspec

from dolphin_realtime.bench.memory import rss_mb
from dolphin_realtime.bench.stack import Stack, wait_for
from dolphin_realtime.model.errors import ServiceError
from dolphin_realtime.ops import dagster_api

QUEUE: Final = "dolphin-extf-indicators"
OTHERS: Final = (
    "raw_scan_retention_schedule", "dagster_retention_schedule", "report_retention_schedule",
)  # fmt: skip
"""Schedules of other queues."""
A_RUN_S: Final = 30.0
"""More than a run takes on a busy machine; a longer average means that something is stuck."""
WORKER: Final = b"spawn_main"
"""Part of the command line of every run's process."""
SAMPLE_S: Final = 0.25
FINISHED: Final = ("SUCCESS", "FAILURE", "CANCELED")
UNDER_WAY: Final = ("STARTING", "STARTED", "CANCELING")
_RUNS: Final = """query($queue: String!) {
  runsOrError(filter: {tags: [{key: "dolphin/queue", value: $queue}]}) {
  ... on Runs { results { runId jobName status startTime endTime } } } }"""
_SCHEDULES: Final = """{ repositoryOrError(repositorySelector: {repositoryLocationName: "dolphin",
  repositoryName: "__repository__"}) { ... on Repository { schedules { name pipelineName
  scheduleState { status ticks(limit: 200) { status runIds skipReason error { message } } } } } } }"""
_DAEMONS: Final = """{ instance { daemonHealth { allDaemonStatuses {
  daemonType required healthy } } } }"""


class Report(msgspec.Struct, kw_only=True):
    """What was requested, and the result.

    Attributes:
        asked: Runs requested by the bench; schedules may have added their own to ``runs``.
        runs: Number of the pool's runs by final status.
        at_once: Largest number of runs that overlapped in time.
        took_s: Time until the last run ended.
        median_run_s: Median time from start to end of a run.
        workers: Most run processes seen at once, of all queues; a process briefly outlives its run.
        processes: Most processes of the stack seen at once.
        memory_mb: Largest sum of their resident memory.
        ticks: Ticks of the indicators' schedules by status.
        silent_ticks: Ticks that neither requested a run nor gave a reason.
        unhealthy: Dagster daemons that were required and not healthy at the end.
    """

    asked: int
    runs: dict[str, int]
    at_once: int
    took_s: float
    median_run_s: float
    workers: int
    processes: int
    memory_mb: float
    ticks: dict[str, int]
    silent_ticks: int
    unhealthy: list[str]

    @property
    def is_good(self) -> bool:
        """Whether the limit held, no run was lost, and the daemons are healthy."""
        is_whole = self.runs.get("SUCCESS", 0) == sum(self.runs.values()) >= self.asked
        return self.at_once == 1 and is_whole and not self.silent_ticks and not self.unhealthy


def overlap(spans: list[tuple[float, float]]) -> int:
    """Return the largest number of spans that overlap; touching ends do not count."""
    edges = sorted([(begin, 1) for begin, _ in spans] + [(end, -1) for _, end in spans])
    return max(itertools.accumulate(step for _, step in edges), default=0)


def bench_runs(rounds: int, say: Callable[[str], None] | None = None) -> Report:
    """Start a demo of its own, run every indicator ``rounds`` times at once, and report.

    Raises:
        ServiceError: If the stack does not come up or a run does not end.
    """
    with (
        tempfile.TemporaryDirectory(prefix="dolphin-runs-") as folder,
        Stack(Path(folder) / "home", "--demo") as stack,
    ):
        return ask_at_once(stack, rounds, say)


def ask_at_once(
    stack: Stack,
    rounds: int,
    say: Callable[[str], None] | None = None,
    enough: int | None = None,
) -> Report:
    """Run every indicator of a running stack ``rounds`` times at once, and report.

    With ``enough``, it reports when this many runs are over; the others are still queued.
    """
    port = stack.ui_port
    jobs = [s["pipelineName"] for s in _indicator_schedules(port)]
    for job in jobs * rounds:
        dagster_api.launch_job(port, job)
    asked, began = len(jobs) * rounds, time.monotonic()
    peak = {"workers": 0, "processes": 0, "memory_mb": 0.0}
    found: list[dict[str, Any]] = []

    def is_over() -> bool:
        for name, value in _sample(stack).items():
            peak[name] = max(peak[name], value)
        found[:] = _runs(port)
        left = sum(run["status"] not in FINISHED for run in found)
        if say is not None:
            say(f"{len(found) - left} of {len(found)} runs are over")
        time.sleep(SAMPLE_S)
        is_enough = enough is not None and len(found) - left >= enough
        return len(found) >= asked and (left == 0 or is_enough)

    wait_for(is_over, A_RUN_S * asked, f"the end of {asked} runs")
    # Judge the list in which all runs were over: a schedule may request another run at any time.
    spans = [(r["startTime"], r["endTime"] or time.time()) for r in found if r["startTime"]]
    lengths = sorted(end - begin for begin, end in spans)
    ticks = [t for s in _indicator_schedules(port) for t in s["scheduleState"]["ticks"]]
    return Report(
        asked=asked,
        runs=_count(run["status"] for run in found),
        at_once=overlap(spans),
        took_s=time.monotonic() - began,
        median_run_s=lengths[len(lengths) // 2],
        workers=int(peak["workers"]),
        processes=int(peak["processes"]),
        memory_mb=peak["memory_mb"],
        ticks=_count(t["status"] for t in ticks),
        silent_ticks=sum(_is_silent(tick) for tick in ticks),
        unhealthy=_unhealthy(port),
    )


def _is_silent(tick: dict[str, Any]) -> bool:
    return tick["status"] != "STARTED" and not (tick["runIds"] or tick["skipReason"])


def _count(words: Iterable[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for word in words:
        found[word] = found.get(word, 0) + 1
    return found


def _runs(port: int) -> list[dict[str, Any]]:
    data = dagster_api.query(port, _RUNS, {"queue": QUEUE})
    found: list[dict[str, Any]] = data["runsOrError"]["results"]
    return found


def _indicator_schedules(port: int) -> list[dict[str, Any]]:
    """Return the schedules of single indicators.

    Raises:
        ServiceError: If one of them is off.
    """
    schedules = dagster_api.query(port, _SCHEDULES)["repositoryOrError"]["schedules"]
    found = [s for s in schedules if s["name"] not in OTHERS]
    off = [s["name"] for s in found if s["scheduleState"]["status"] != "RUNNING"]
    if off:
        raise ServiceError(f"schedules are off: {', '.join(off)}; switch them on to measure")
    return found


def _unhealthy(port: int) -> list[str]:
    statuses = dagster_api.query(port, _DAEMONS)["instance"]["daemonHealth"]["allDaemonStatuses"]
    return [s["daemonType"] for s in statuses if s["required"] and not s["healthy"]]


def _sample(stack: Stack) -> dict[str, float]:
    """Return the stack's processes now: run workers, all of them, their memory."""
    code = stack.service("dagster-code").pid or 0
    pids = below(stack.pid)
    workers = [pid for pid in below(code) if WORKER in command_of(pid)]
    return {
        "workers": len(workers),
        "processes": len(pids),
        "memory_mb": sum(rss_mb(pid) for pid in pids),
    }


def command_of(pid: int) -> bytes:
    """Return a process's command line, empty if the process is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def below(pid: int) -> list[int]:
    """Return a process and all its descendants."""
    found, left = [], [pid]
    while left:
        one = left.pop()
        found.append(one)
        for task in Path(f"/proc/{one}/task").glob("*/children"):
            try:
                left += [int(child) for child in task.read_text().split()]
            except OSError:
                continue
    return found
