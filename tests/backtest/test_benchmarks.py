"""The benchmarks run and say what they measured; how fast is for benchmarks/ to tell."""

import json
import os
import subprocess
import sys

import pytest


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
