"""A Dagster of its own: code server, webserver and daemon on the probe's definitions.

Ours has Dolphin's dagster.yaml, its pool limits and its executor; stock has what Dagster comes with.
"""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from dolphin_dagster.instance import pools
from dolphin_realtime.bench.memory import rss_mb
from dolphin_realtime.bench.runs import FINISHED, WORKER, below, command_of, overlap
from dolphin_realtime.bench.stack import free_port, wait_for
from dolphin_realtime.infra.ports import answers
from dolphin_realtime.infra.process import die_with_parent
from dolphin_realtime.ops import dagster_api
from tests.runs.probe_names import name_of

ROOT = Path(__file__).resolve().parents[2]
RUNS = """query($cursor: String) { runsOrError(limit: 500, cursor: $cursor) { ... on Runs { results {
  runId jobName status startTime endTime tags { key value } } } } }"""
FAILURE = """query($id: ID!) { logsForRun(runId: $id) { ... on EventConnection { events {
  __typename ... on MessageEvent { message } } } } }"""
BACKFILL = """mutation($p: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $p) {
  __typename ... on LaunchBackfillSuccess { backfillId } } }"""


class Side:
    """Dagster's three services below one folder."""

    def __init__(
        self, folder: Path, *, is_stock: bool, module: str = "tests.runs.probe", **settings: str
    ) -> None:
        self.folder, self.is_stock, self.module = folder, is_stock, module
        self.code_port, self.port = free_port(), free_port()
        home = folder / "home" if is_stock else ROOT
        (folder / "home").mkdir(parents=True)
        (folder / "home" / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
        self.env = {
            **os.environ, "DAGSTER_HOME": str(home), "DOLPHIN_DAGSTER_VAR": str(folder / "var"),
            "PROBE_FOLDER": str(folder), "PYTHONPATH": str(ROOT), "PROBE_STOCK": "1" if is_stock else "",
            **settings,
        }  # fmt: skip
        self.workspace = folder / "workspace.yaml"
        self.workspace.write_text(
            "load_from:\n  - grpc_server:\n      host: 127.0.0.1\n"
            f"      port: {self.code_port}\n      location_name: dolphin\n"
        )
        self.processes: dict[str, subprocess.Popen] = {}
        self.peak = Counter()

    def __enter__(self):
        init = ["-c", "import dagster as dg; dg.DagsterInstance.get().get_runs_count()"]
        set_up = init if self.is_stock else ["-m", "dolphin_dagster.instance.setup"]
        subprocess.run([sys.executable, *set_up], env=self.env, check=True, capture_output=True)
        self.start("code")
        self.start("webserver")
        return self

    def __exit__(self, *_):
        for name in ("daemon", "webserver", "code"):
            if name in self.processes:
                for pid in reversed(below(self.processes[name].pid)):
                    kill(pid)
                self.processes[name].wait()

    def start(self, name):
        """Start one of code, webserver, daemon, and wait until it answers."""
        host = ["-h", "127.0.0.1"]
        command = {
            "code": ["dagster", "api", "grpc", "-m", self.module, *host,
                     "-p", str(self.code_port), "--location-name", "dolphin"],
            "webserver": ["dagster_webserver", *host, "-p", str(self.port), "-w", str(self.workspace)],
            "daemon": ["dagster._daemon", "run", "-w", str(self.workspace)],
        }[name]  # fmt: skip
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", *command], env=self.env, cwd=self.folder, stdout=log,
                stderr=log, preexec_fn=die_with_parent,
            )  # fmt: skip
        if name == "code":
            wait_for(lambda: answers(self.code_port, ""), 60, "the code server")
        if name == "webserver":
            wait_for(lambda: answers(self.port, "/server_info"), 60, "the webserver")

    def kill(self, name, *, with_workers=False):
        """Kill one with SIGKILL; with its workers, where it is the code server."""
        process = self.processes[name]
        workers = self.workers() if with_workers else []
        process.kill()
        for pid in workers:
            kill(pid)
        process.wait()

    def workers(self):
        """Return the processes of runs."""
        code = self.processes["code"].pid
        return [pid for pid in below(code) if WORKER in command_of(pid)]

    def launch(self, pool, seconds=None, **tags):
        """Ask for a run in a queue and return its id."""
        job = f"{name_of(pool)}_job"
        if seconds is None:
            return dagster_api.launch_job(self.port, job)
        given = {"probe/seconds": str(seconds)} | {f"dagster/{k}": v for k, v in tags.items()}
        pairs = [{"key": key, "value": value} for key, value in given.items()]
        return dagster_api._launch(self.port, {"pipelineName": job}, pairs, job)

    def backfill(self, days):
        """Ask for the first days of the partitioned asset."""
        keys = [f"2026-01-{day:02}" for day in range(1, days + 1)]
        parameters = {"assetSelection": [{"path": ["by_day"]}], "partitionNames": keys}
        done = dagster_api.query(self.port, BACKFILL, {"p": parameters})["launchPartitionBackfill"]
        assert done["__typename"] == "LaunchBackfillSuccess", done

    def runs(self):
        """Return every run."""
        return dagster_api.query(self.port, RUNS)["runsOrError"]["results"]

    def run(self, run_id):
        """Return one run."""
        return next(run for run in self.runs() if run["runId"] == run_id)

    def failure_of(self, run_id):
        """Return what a failed run's last event says."""
        events = dagster_api.query(self.port, FAILURE, {"id": run_id})["logsForRun"]["events"]
        return next(e["message"] for e in events if e.get("__typename") == "RunFailureEvent")

    def wait_for_all(self, asked, timeout_s):
        """Sample processes until so many runs are over; return how long that took."""
        began = time.monotonic()

        def is_over():
            self.sample()
            found = self.runs()
            time.sleep(0.5)
            return len(found) >= asked and all(run["status"] in FINISHED for run in found)

        wait_for(is_over, timeout_s, f"the end of {asked} runs")
        return time.monotonic() - began

    def sample(self):
        """Note the most workers, processes and megabytes seen at once."""
        pids = {pid for p in self.processes.values() for pid in below(p.pid)}
        seen = {
            "workers": len(self.workers()),
            "processes": len(pids),
            "megabytes": round(sum(rss_mb(pid) for pid in pids)),
        }
        for name, value in seen.items():
            self.peak[name] = max(self.peak[name], value)

    def overlaps(self):
        """Return by queue how many of its runs were under way at once, at most."""
        spans = {}
        for run in self.runs():
            pool = pool_of(run)
            if run["startTime"]:
                spans.setdefault(pool, []).append((run["startTime"], run["endTime"] or time.time()))
        return {pool: overlap(found) for pool, found in spans.items()}

    def statuses(self):
        """Return how many runs ended how."""
        return dict(Counter(run["status"] for run in self.runs()))

    def begun(self):
        """Return how often each run began its work."""
        path = self.folder / "begun"
        return Counter(path.read_text().split()) if path.exists() else Counter()


def pool_of(run):
    """Return a run's queue."""
    by_job = {f"{name_of(pool)}_job": pool for pool in pools.LIMITS}
    return by_job.get(run["jobName"], pools.DOLPHIN)


def kill(pid):
    """Kill a process that may be gone."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
