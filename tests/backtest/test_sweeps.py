"""A sweep on local processes and on a real Ray cluster: equal, resumable, and it survives a kill."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import msgspec
import psutil
import pytest

from dolphin_realtime.bench.backtest import first_day
from dolphin_realtime.bench.stack import free_port
from dolphin_realtime.config.settings import Settings
from dolphin_realtime.model.errors import ServiceError
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


def ray_node(scratch, *options):
    """Start a Ray node on loopback and return its process."""
    ray = Path(sys.executable).parent / "ray"
    command = [
        ray, "start", "--block", "--node-ip-address=127.0.0.1", "--object-store-memory=100000000",
        "--disable-usage-stats", *options,
    ]  # fmt: skip
    env = {
        **os.environ,
        "RAY_DISABLE_IMPORT_WARNING": "1",
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "1",
    }
    with (Path(scratch) / f"{len(options)}-{free_port()}.log").open("wb") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, env=env, start_new_session=True)


def end(node):
    """Kill a node and everything it started."""
    with suppress(psutil.NoSuchProcess):
        for process in [*psutil.Process(node.pid).children(recursive=True), node]:
            with suppress(psutil.NoSuchProcess):
                process.kill()
    node.wait(20)


@pytest.fixture(scope="module")
def cluster():
    """A Ray head on loopback, as `ray start --head` makes it; its address."""
    port, scratch = free_port(), tempfile.mkdtemp(prefix="ray-", dir="/tmp")
    own = ("--head", f"--port={port}", "--include-dashboard=false", f"--temp-dir={scratch}")
    head = ray_node(scratch, *own, "--num-cpus=2")
    try:
        eventually(lambda: _listens(port), 60.0, "the Ray head")
        yield f"127.0.0.1:{port}"
    finally:
        end(head)
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


PAIR = """
from: 2025-05-13
to: 2025-05-{last}
warm_up_days: 1
scans: {scans}
instances: [BLUE, GREEN]
grid: {{s_in: [0.5, 0.8, 1.2], band: [0.05, 0.1, 0.2]}}
"""


def test_days_by_instances_by_sets_on_three_nodes_of_which_one_is_killed(
    grid, tmp_path, monkeypatch, capsys
):
    """Equal results, whoever ran them; the times are printed."""
    monkeypatch.setenv("DOLPHIN_GREEN__COST_TAKER_FEE_BPS", "9")
    monkeypatch.setenv("DOLPHIN_INSTANCES", "BLUE,GREEN")
    pair = tmp_path / "pair.yaml"
    pair.write_text(
        PAIR.format(last=os.environ.get("SWEEP_LAST", "14"), scans=grid.with_name("short"))
    )
    began = time.monotonic()
    here = run(pair, tmp_path / "here")
    local_s = time.monotonic() - began
    port, scratch = free_port(), tempfile.mkdtemp(prefix="ray-", dir="/tmp")
    own = ("--head", f"--port={port}", "--include-dashboard=false", f"--temp-dir={scratch}")
    nodes = [ray_node(scratch, *own, "--num-cpus=1")]
    killed = []

    def kill_one(_):
        if not killed:
            killed.append(end(nodes[2]))

    try:
        eventually(lambda: _listens(port), 60.0, "the Ray head")
        for n in (2, 3):  # one after another: each looks for free ports
            nodes.append(ray_node(scratch, f"--address=127.0.0.1:{port}", "--num-cpus=1"))
            eventually(lambda n=n: _alive(port) == n, 90.0, f"{n} nodes")
        began = time.monotonic()
        there = run(pair, tmp_path / "there", kill_one, ray_address=f"127.0.0.1:{port}")
        ray_s = time.monotonic() - began
    finally:
        for node in nodes:
            end(node)
        shutil.rmtree(scratch, ignore_errors=True)
    assert killed
    assert same(here, there)
    assert results_of(here.folder) == results_of(there.folder)
    assert len(here.sets) == 18
    nets = {s.name: s.net for s in here.sets}
    assert nets["BLUE: s_in=0.5, band=0.05"] > nets["GREEN: s_in=0.5, band=0.05"], (
        "its fee is higher"
    )
    with capsys.disabled():
        print(
            f"\n{here.ran} trials: {local_s:.0f} s on 2 processes, {ray_s:.0f} s on Ray, one of three nodes killed"
        )


def _alive(port):
    words = f"import ray; ray.init('127.0.0.1:{port}', logging_level='ERROR', log_to_driver=False); print(sum(n['Alive'] for n in ray.nodes()))"
    done = subprocess.run(
        [sys.executable, "-c", words], capture_output=True, text=True, check=False
    )
    return int(done.stdout) if done.returncode == 0 else 0


def results_of(folder):
    """Return the results on record as bytes, in order of their keys, without the time they took."""
    lines = [json.loads(line) for line in (Path(folder) / "trials.jsonl").read_text().splitlines()]
    return sorted(json.dumps({**line, "seconds": 0}) for line in lines)


def test_a_trial_for_which_no_node_has_room_is_refused(grid, cluster, tmp_path):
    with pytest.raises(ServiceError, match=r"no node .* has 900000 MB"):
        run(grid, tmp_path, ray_address=cluster, sweep_trial_mb=900_000)


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
