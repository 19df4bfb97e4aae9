"""Parity: backtest, trader fed from files, trader fed through bridge and grid do the same.

One recorded day with a gap and a restart of NG6; lists of orders, fills and equity are read
from the three journals and are equal to the last digit.
"""

import json
import subprocess
import sys

import msgspec
import pytest

from dolphin_realtime.backtest.run import backtest_to_journal
from dolphin_realtime.books.documents import BookFeed
from dolphin_realtime.config.trader_parameters import load_parameters
from dolphin_realtime.factors.files import read_factors
from dolphin_realtime.model.instant import DAY_US, from_us
from dolphin_realtime.model.portfolio.portfolio import Portfolio
from dolphin_realtime.replay.pace import archive_days
from dolphin_realtime.scans.coverage import Reading
from dolphin_realtime.scans.days import read_scans
from dolphin_realtime.scans.files import write_scan
from dolphin_realtime.trading.warm_up import warm_up
from tests.integration.conftest import eventually, make_desk, sample_market
from tests.journals import rows

SCANS = 420
GAP = range(150, 156)
RESTART_AT = 280
TURNING = {"target_band": 0.02, "signal_s_in": 0.3, "signal_s_out": 0.1, "signal_tau_x_s": 600}
"""Thresholds under which directions turn within one scan."""
DAY = {**TURNING, "safety_cool_down_s": 0, "stale_cadence_min_s": 60}

ORDERS = (
    "SELECT timestamp_us, asset, side, quantity, leg FROM orders ORDER BY timestamp_us, asset, leg"
)
FILLS = (
    "SELECT timestamp_us, asset, side, quantity, price, fee, mid, source FROM fills ORDER BY rowid"
)
EQUITY = "SELECT timestamp_us, cash, realised, unrealised, fees, funding, equity FROM equity ORDER BY rowid"


def recorded_day():
    """Yield the scans: one gap longer than gap_max, and numbers that begin again."""
    market, first_us = sample_market()
    number = 0
    for n, row in enumerate(market.rows_of(first_us, 2**62)):
        if n >= SCANS:
            return
        number = 1 if n == RESTART_AT else number + 1
        if n in GAP:
            continue
        yield msgspec.structs.replace(next(iter(market.scans_at(row))), scan_number=number)


def lists_of(folder):
    queries = {"orders": ORDERS, "fills": FILLS, "equity": EQUITY}
    return {name: rows(folder, query) for name, query in queries.items()}


def env_of(settings):
    return {f"DOLPHIN_{k.upper()}": str(v) for k, v in settings.items()}


def backtest(home, scans, book=None, **settings):
    """Run (a) and return its lists."""
    p = load_parameters("BLUE", env_of({**TURNING, **settings}))
    desk = Portfolio("BLUE", p.signal, p.target, p.costs, p.limits)
    warm_up(desk, home / "archive", 1)
    folder = home / "backtest"
    books, factors = BookFeed.read(book), read_factors(None)
    backtest_to_journal(desk, read_scans(scans, Reading()), folder, books, factors)
    return lists_of(folder)


def from_files(home, scans, env, *options):
    """Run (b), a trader process, and return its lists."""
    command = [sys.executable, "-m", "dolphin_realtime.cli", "service", "trader", "FILES"]
    done = subprocess.run(
        [*command, "--scans", str(scans), *options],
        env={**env, "DOLPHIN_INSTANCES": "FILES"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return lists_of(home / "journal" / "FILES")


@pytest.fixture(scope="module")
def day(tmp_path_factory):
    """The three runs of one day. Its first scan is at a settlement, whose gate opens nothing, so
    that it may come before the posture is NORMAL."""
    home = tmp_path_factory.mktemp("parity") / "home"
    desk = make_desk(home, **DAY)
    scans = list(recorded_day())
    recorded = home / "recorded"
    for scan in scans:
        write_scan(recorded, scan)
    with desk.stack:
        eventually(lambda: desk.posture() is not None)
        write_scan(desk.scan_dir, scans[0])
        desk.wait_journalled(scans[0])
        eventually(lambda: desk.posture() == "NORMAL", 60.0, "posture NORMAL")
        for scan in scans[1:]:
            write_scan(desk.scan_dir, scan)
            desk.wait_journalled(scan)
        first_us = scans[0].timestamp_us
        query = "SELECT DISTINCT posture FROM equity WHERE timestamp_us > ?"
        postures = desk.query(query, first_us)
        through_grid = lists_of(home / "journal" / "BLUE")
        desk.check_journal()
        env = desk.stack.env
        desk.close()
    assert postures == [("NORMAL",)]
    return {
        "backtest": backtest(home, recorded),
        "files": from_files(home, recorded, env),
        "grid": through_grid,
    }


def test_the_day_holds_what_parity_is_about(day):
    orders = day["files"]["orders"]
    assert len(orders) >= 200
    by_scan = {}
    for at_us, asset, side, _, leg in orders:
        by_scan.setdefault((at_us, asset), {})[leg] = side
    turned = [legs for legs in by_scan.values() if legs.keys() >= {"C", "O"}]
    assert len(turned) >= 2
    assert all(legs["C"] == legs["O"] for legs in turned)


@pytest.mark.parametrize("other", ["backtest", "grid"])
@pytest.mark.parametrize("what", ["orders", "fills", "equity"])
def test_all_ways_give_the_same_to_the_last_digit(day, what, other):
    assert day[other][what] == day["files"][what]


def test_nothing_after_a_scan_changes_what_was_decided_up_to_it(tmp_path):
    """Corrupt the future: every price after scan 300 of the day is another one."""
    home = tmp_path / "home"
    market, first_us = sample_market()
    archive_days(market, home / "archive", first_us - DAY_US, first_us)
    scans = list(recorded_day())
    cut = scans[300].timestamp_us
    for name, is_corrupt in (("true", False), ("false", True)):
        for n, scan in enumerate(scans):
            prices = scan.prices
            if is_corrupt and scan.timestamp_us > cut:
                prices = [p * (1.3 + 0.1 * (n % 3)) for p in scan.prices[::-1]]
            write_scan(home / name, msgspec.structs.replace(scan, prices=prices))
    true = backtest(home, home / "true")
    (home / "backtest").rename(home / "kept")
    false = backtest(home, home / "false")
    upto = [o for o in true["orders"] if o[0] <= cut]
    assert len(upto) > 50
    assert upto == [o for o in false["orders"] if o[0] <= cut]
    assert [e for e in true["equity"] if e[0] <= cut] == [e for e in false["equity"] if e[0] <= cut]
    assert true["orders"] != false["orders"]


def test_fills_through_recorded_books_are_the_same_both_ways(tmp_path):
    home = tmp_path / "home"
    market, first_us = sample_market()
    archive_days(market, home / "archive", first_us - DAY_US, first_us)
    scans = list(recorded_day())[:200]
    with (tmp_path / "books.jsonl").open("w") as f:
        for scan in scans:
            write_scan(home / "scans", scan)
            f.write(json.dumps(book_document(scan)) + "\n")
    env = {**make_desk(home, **DAY).stack.env}
    files = from_files(home, home / "scans", env, "--book", str(tmp_path / "books.jsonl"))
    back = backtest(home, home / "scans", tmp_path / "books.jsonl")
    assert files == back
    sources = {fill[-1] for fill in files["fills"]}
    assert sources == {"book", "scan"}


def book_document(scan):
    """Return books 2 s after a scan for every other asset, thin enough to be walked.

    One of them is stamped after the next scan: the document does not exist before that.
    """
    seconds = scan.timestamp_us // 1_000_000 + 2
    assets = {}
    for n, (asset, price) in enumerate(zip(scan.assets[::2], scan.prices[::2], strict=True)):
        bids = [[price * (1 - 1e-4 * k), 500.0 / price] for k in range(1, 21)]
        asks = [[price * (1 + 1e-4 * k), 500.0 / price] for k in range(1, 21)]
        assets[asset] = {
            "event_time": iso(seconds + (60 if n == 3 and seconds // 60 % 2 else 0)),
            "imbalance_1": 0.0, "imbalance_5": 0.1, "imbalance_20": 0.0, "microprice": price,
            "spread_bps": 2.0, "depth": 20_000.0, "bids": bids, "asks": asks,
        }  # fmt: skip
    return {"assets": assets, "_pushed_at": iso(seconds)}


def iso(seconds):
    return from_us(seconds * 1_000_000).isoformat()
