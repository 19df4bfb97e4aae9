"""The benchmarks run and say what they measured; how fast is for benchmarks/ to tell."""

import json
import os
import subprocess
import sys
from xml.etree import ElementTree

import pytest

from dolphin_realtime.bench import bare_grid
from dolphin_realtime.bench.histogram import histograms


def bench(*words):
    env = {k: v for k, v in os.environ.items() if not k.startswith("DOLPHIN_")}
    command = [sys.executable, "-m", "dolphin_realtime.cli", "bench", *words, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_parts_of_a_backtest_are_the_whole():
    (row,) = bench("backtest", "--days", "1", "--set", "band=0.05", "--set", "s_in=0.8")
    assert (row["scans"], row["assets"]) == (1440, 16)
    assert row["fills"] > 100
    assert row["ours_s"] + row["nautilus_s"] == pytest.approx(row["seconds"], abs=0.02)
    assert all(seconds > 0 for seconds in row["parts_s"].values())
    assert row["us_a_fill_in_nautilus"]["ratio"] > 0


def test_a_backtest_without_a_fill_has_no_cost_a_fill():
    (row,) = bench("backtest", "--assets", "16", "--cadence", "300", "--set", "s_in=99")
    assert (row["fills"], row["us_a_fill_in_nautilus"]["ratio"]) == (0, None)


def test_an_archive_is_measured_by_day_and_the_year_is_extrapolated():
    found = bench("archive", "--days", "2", "--scans", "600", "--assets", "20")
    assert found["mb_a_day"] > 0
    assert found["year_extrapolated"]["scans"] == 600 * 365
    assert "simulated" in found["prices"]


def test_the_grid_alone_is_measured_from_put_to_callback():
    found = bare_grid.measure(16, 20, 0.01)
    assert found["n"] == 20
    assert 0.0 < found["p50"] <= found["p99"]


def test_histograms_are_one_small_picture_of_every_stage():
    picture = histograms("50 assets", {"file <to> read": [300.0, 400.0, 9000.0], "rest": [50.0]})
    root = ElementTree.fromstring(picture)
    words = [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"50 assets", "file <to> read", "p50 400 µs", "p99 9,000 µs", "10 ms"} <= set(words)
    assert len(picture) < 5_000
