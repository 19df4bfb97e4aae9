"""A sweep on local processes and on a real Ray cluster: equal, resumable, and it survives a kill."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec
import psutil
import pytest

from dolphin_realtime.bench.backtest import first_day
from dolphin_realtime.bench.stack import free_port
from dolphin_realtime.config.settings import Settings
from dolphin_realtime.model.instant import DAY_US
from dolphin_realtime.replay.market import Market, ReplayParams, load_prices
from dolphin_realtime.replay.pace import archive_days
from dolphin_realtime.scans.archive import read_archive, write_archive
from dolphin_realtime.sweep.grid_file import read_sweep_file
from dolphin_realtime.sweep.run import plan_of, run_sweep
from tests.integration.conftest import eventually

SCANS_A_DAY = 720
GRID = """
from: 2025-05-13
to: 2025-05-15
warm_up_days: 1
scans: {scans}
grid: {{s_in: [0.5, 0.8, 1.2], band: [0.05, 0.1, 0.2]}}
"""


@pytest.fixture(scope="module")
def grid(tmp_path_factory):
    """A 3 x 3 grid over three short days of the sample, after one of warm-up."""
    folder = tmp_path_factory.mktemp("sweep")
    market = Market(load_prices(), ReplayParams())
    begin = first_day(market) - DAY_US
    archive_days(market, folder / "whole", begin, begin + 4 * DAY_US)
    for path in (folder / "whole").iterdir():
        scans = list(read_archive(path))[:SCANS_A_DAY]
        write_archive(folder / "short" / path.name, ((scan, "test") for scan in scans))
    path = folder / "grid.yaml"
    path.write_text(GRID.format(scans=folder / "short"))
    return path


def settings_of(folder, **changes):
    return msgspec.structs.replace(Settings(), home=folder, sweep_workers=2, **changes)


def run(grid, out, on_trial=lambda _: None, **changes):
    settings = settings_of(out, **changes)
    return run_sweep(plan_of(read_sweep_file(grid), settings), settings, out, "Test", on_trial)


@pytest.fixture(scope="module")
def local(grid, tmp_path_factory):
    return run(grid, tmp_path_factory.mktemp("local"))


@pytest.fixture(scope="module")
def cluster():
    """A Ray head on loopback, as `ray start --head` makes it; its address."""
    port, scratch = free_port(), tempfile.mkdtemp(prefix="ray-", dir="/tmp")
    ray = Path(sys.executable).parent / "ray"
    command = [
        ray, "start", "--head", "--block", "--node-ip-address=127.0.0.1", f"--port={port}",
        "--include-dashboard=false", "--num-cpus=2", "--object-store-memory=100000000",
        "--disable-usage-stats", f"--temp-dir={scratch}",
    ]  # fmt: skip
    env = {**os.environ, "RAY_DISABLE_IMPORT_WARNING": "1"}
    with (Path(scratch) / "head.log").open("wb") as log:
        head = subprocess.Popen(command, stdout=log, stderr=log, env=env, start_new_session=True)
    try:
        eventually(lambda: _listens(port), 60.0, "the Ray head")
        yield f"127.0.0.1:{port}"
    finally:
        for process in [*psutil.Process(head.pid).children(recursive=True), head]:
            process.kill()
        head.wait(20)
        shutil.rmtree(scratch, ignore_errors=True)


def _listens(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


def same(a, b):
    return (a.days, a.sets, a.verdict) == (b.days, b.sets, b.verdict)


def test_every_set_ran_on_every_day(local):
    assert (len(local.sets), local.ran, local.failed) == (9, 27, 0)
    assert all(s.days == 3 and s.fills > 10 for s in local.sets)
    for s in local.sets:
        assert s.net == pytest.approx(s.gross - s.fees - s.slippage - s.funding, abs=1e-6)
    assert local.verdict.trials == 9
    assert local.verdict.deflated_sharpe is not None
    assert local.verdict.overfitting is not None
    assert len(local.verdict.walk_forward) == 2


def test_what_is_on_record_is_not_run_again(grid, local, tmp_path):
    shutil.copytree(local.folder, tmp_path / "copy")
    again = run(grid, tmp_path / "copy")
    assert again.ran == 0
    assert same(again, local)


def test_a_ray_cluster_gives_the_same(grid, local, cluster, tmp_path):
    on_ray = run(grid, tmp_path, ray_address=cluster)
    assert on_ray.where == f"ray {cluster}"
    assert same(on_ray, local)


def killing(is_worker):
    """Return a callback that kills one worker once, and what it killed."""
    killed = []

    def on_trial(_):
        if not killed:
            worker = next((p for p in psutil.process_iter(["cmdline"]) if is_worker(p)), None)
            if worker is not None:
                worker.kill()
                killed.append(worker.pid)

    return on_trial, killed


def test_a_killed_local_worker_is_survived(grid, local, tmp_path):
    ours = psutil.Process()

    def is_worker(process):
        words = " ".join(process.info["cmdline"] or [])
        return "multiprocessing" in words and "spawn_main" in words and process.ppid() == ours.pid

    on_trial, killed = killing(is_worker)
    done = run(grid, tmp_path, on_trial)
    assert killed
    assert same(done, local)


def test_a_killed_ray_worker_is_survived(grid, local, cluster, tmp_path):
    def is_worker(process):
        return any("ray::run_trial" in word for word in process.info["cmdline"] or [])

    on_trial, killed = killing(is_worker)
    done = run(grid, tmp_path, on_trial, ray_address=cluster)
    assert killed
    assert same(done, local)


def test_the_command_says_what_the_best_is_worth(grid, local, tmp_path):
    shutil.copytree(local.folder, tmp_path / "copy")
    command = [sys.executable, "-m", "dolphin_realtime.cli", "sweep", str(grid), "--out",
               str(tmp_path / "copy"), "--json"]  # fmt: skip
    env = {k: v for k, v in os.environ.items() if not k.startswith("DOLPHIN_")}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert facts["ran"] == 0
    assert facts["verdict"]["best"] == local.verdict.best
    page = (tmp_path / "copy" / "report.html").read_text()
    assert all(s.name in page for s in local.sets)
