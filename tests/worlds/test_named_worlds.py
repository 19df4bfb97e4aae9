"""Each named world through backtest, trader, archive, signals and report: nothing stops, and they agree."""

import json
import os
import subprocess
import sys

import msgspec
import pytest

from dolphin_realtime.backtest.run import backtest_to_journal
from dolphin_realtime.books.documents import BookFeed
from dolphin_realtime.config.trader_parameters import load_parameters
from dolphin_realtime.factors.documents import FactorHistory
from dolphin_realtime.journal.check import check
from dolphin_realtime.model.instant import DAY_US
from dolphin_realtime.model.portfolio.portfolio import Portfolio
from dolphin_realtime.replay.pace import archive_days
from dolphin_realtime.replay.worlds.library import WORLDS, world
from dolphin_realtime.reports.write import write_report
from dolphin_realtime.scans.coverage import Reading
from dolphin_realtime.scans.days import read_scans
from dolphin_realtime.scans.files import write_scan
from dolphin_realtime.scans.merge import merge_day
from dolphin_realtime.trading.warm_up import warm_up
from tests.integration.conftest import sample_market
from tests.integration.test_parity import TURNING, env_of, lists_of

N_SCANS = 400


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A home whose archive has the day before."""
    home = tmp_path_factory.mktemp("worlds")
    market, first_us = sample_market()
    archive_days(market, home / "archive", first_us - DAY_US, first_us)
    return home


def written(name, folder):
    """Write a world's day as NG6 would; return its day folder."""
    market, first_us = sample_market()
    told, number = world(name), 1
    for n, row in enumerate(list(market.rows_of(first_us, 2**62))[:N_SCANS]):
        scan = msgspec.structs.replace(next(iter(market.scans_at(row))), scan_number=number)
        scan = told.feed(n, told.market(n, scan))
        if scan is not None:
            write_scan(folder, scan)
            number = scan.scan_number + 1
    (day,) = folder.iterdir()
    return day


def backtest(home, scans, folder):
    p = load_parameters("BLUE", env_of(TURNING))
    portfolio = Portfolio("BLUE", p.signal, p.target, p.costs, p.limits)
    warm_up(portfolio, home / "archive", 1)
    result = backtest_to_journal(
        portfolio, read_scans(scans, Reading()), folder, BookFeed([]), FactorHistory([])
    )
    return portfolio, result


@pytest.mark.parametrize("name", WORLDS)
def test_paper_is_the_backtest_and_archive_and_report_take_what_comes(home, name, tmp_path):
    day = written(name, tmp_path / "scans")
    _, result = backtest(home, tmp_path / "scans", tmp_path / "backtest")
    assert result.scans > 200
    found = check(tmp_path / "backtest")
    assert found.ok, found.first_break
    ours = {k: v for k, v in os.environ.items() if not k.startswith("DOLPHIN_")}
    env = {**ours, **env_of(TURNING), "DOLPHIN_HOME": str(tmp_path / "paper"), "DOLPHIN_WARM_UP_DAYS": "1"}  # fmt: skip
    env["DOLPHIN_INSTANCES"] = "FILES"
    (tmp_path / "paper").mkdir()
    (tmp_path / "paper" / "archive").symlink_to(home / "archive")
    command = [sys.executable, "-m", "dolphin_realtime.cli", "service", "trader", "FILES"]
    done = subprocess.run([*command, "--scans", str(tmp_path / "scans")], env=env,
                          capture_output=True, text=True, timeout=100, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    paper = tmp_path / "paper" / "journal" / "FILES"
    assert lists_of(paper) == lists_of(tmp_path / "backtest")
    report = write_report(tmp_path / "backtest", tmp_path / "report", name)
    assert report.figures.off_usd < 1e-6
    assert any(name in note for note in report.figures.notes)
    merged = merge_day(day, tmp_path / "archive" / f"{day.name}.parquet")
    assert merged.rows + len(merged.left_out) == len(list(day.glob("*.arrow")))
    _, again = backtest(home, tmp_path / "archive", tmp_path / "from_archive")
    assert again.scans == result.scans
    assert lists_of(tmp_path / "from_archive") == lists_of(tmp_path / "backtest")
    written_report = json.loads((tmp_path / "report" / "report.json").read_text())
    if name in ("redenomination", "halted", "delisted", "bad-day"):
        assert any("without a sound price" in c for c in written_report["caveats"])
