"""A real paper day set beside its backtest: what happened to it is named, nothing is left over.

The trader runs on a real grid; a posture is set by hand, it is killed, a scan never reaches
it. Then the same with order books, from files.
"""

import json
import os
import signal
import subprocess
import sys

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from dolphin_realtime.backtest import differences
from dolphin_realtime.backtest.versus_paper import versus_paper
from dolphin_realtime.books.archive import BookLine, archive_books
from dolphin_realtime.books.documents import BooksDocument
from dolphin_realtime.config.loading import load
from dolphin_realtime.factors.files import SCHEMA
from dolphin_realtime.model.instant import day_of, from_us
from dolphin_realtime.model.market.order_book import features
from dolphin_realtime.scans.days import ScanDays
from dolphin_realtime.scans.files import write_scan
from dolphin_realtime.scans.merge import merge_day
from tests.integration.conftest import eventually, make_desk, sample_market

TURNING = {"target_band": 0.02, "signal_s_in": 0.3, "signal_s_out": 0.1, "signal_tau_x_s": 600}


def versus(desk, monkeypatch, home):
    """Archive the desk's day and return (day, comparison)."""
    for name, value in desk.stack.env.items():
        if name.startswith("DOLPHIN_"):
            monkeypatch.setenv(name, value)
    settings = load()
    day = day_of(desk.first_us)
    merge_day(settings.scans / day, settings.archive / f"{day}.parquet")
    return day, versus_paper(settings, "BLUE", day, ScanDays.of(settings.archive))


def test_what_happened_to_a_paper_day_is_named(tmp_path, monkeypatch):
    desk = make_desk(tmp_path / "home", **TURNING, safety_cool_down_s=0, stale_cadence_min_s=60)
    with desk.stack:
        eventually(lambda: desk.posture() is not None)
        desk.wait_trading()
        desk.feed(60)
        assert desk.cli("posture", "set", "CLOSE_ONLY", "--reason", "test").returncode == 0
        eventually(lambda: desk.posture() == "CLOSE_ONLY")
        desk.feed(20)
        assert desk.cli("resume", "--reason", "test").returncode == 0
        desk.wait_trading()
        os.kill(desk.stack.service("trader@BLUE").pid, signal.SIGKILL)
        desk.feed(1, wait=False)
        desk.feed(40)
        fills = desk.query("SELECT count(*) FROM fills")[0][0]
        desk.check_journal()
        desk.close()
    day, found = versus(desk, monkeypatch, tmp_path)
    assert fills > 50
    assert found.unexplained == 0, found.examples
    assert found.by_cause[differences.POSTURE] > 5
    assert found.same > 100
    assert set(found.by_cause) <= {
        differences.POSTURE, differences.RESTART, differences.CARRIED, differences.BLOCKED
    }  # fmt: skip
    written = json.loads(
        (tmp_path / "home" / "reports" / "versus" / "BLUE" / day / "versus.json").read_text()
    )
    assert written["unexplained"] == 0
    forgotten = [
        s for n, s in enumerate(ScanDays.of(tmp_path / "home" / "archive").scans(day)) if n == 30
    ]
    with_hole = tmp_path / "hole"
    for scan in ScanDays.of(tmp_path / "home" / "archive").scans(day):
        if scan.timestamp_us != forgotten[0].timestamp_us:
            write_scan(with_hole, scan)
    again = versus_paper(load(), "BLUE", day, ScanDays.of(with_hole))
    assert again.by_cause[differences.NOT_ARCHIVED] >= 1
    assert again.unexplained == 0


def test_another_parameter_is_not_explained_away(tmp_path, monkeypatch):
    """The trader as it was, the backtest with another threshold: somebody must look."""
    home, scans = paper_day(tmp_path)
    monkeypatch.setenv("DOLPHIN_HOME", str(home))
    for name, value in TURNING.items():
        monkeypatch.setenv(f"DOLPHIN_{name.upper()}", str(value))
    day = day_of(scans[0].timestamp_us)
    days = ScanDays.of(home / "recorded")
    same = versus_paper(load(), "BLUE", day, days)
    assert (same.unexplained, same.by_cause, same.drift) == (0, {}, 0.0)
    monkeypatch.setenv("DOLPHIN_SIGNAL_S_IN", "0.6")
    assert versus_paper(load(), "BLUE", day, days).unexplained > 0
    write_factors(home / "factors" / f"{day}.parquet", scans[0].timestamp_us)
    with_factors = versus_paper(load(), "BLUE", day, days)
    assert with_factors.unexplained > 0
    monkeypatch.setenv("DOLPHIN_SIGNAL_S_IN", "0.3")
    monkeypatch.setenv("DOLPHIN_SIGNAL_TAU_S_S", "1200")
    assert versus_paper(load(), "BLUE", day, days).unexplained > 0


def write_factors(path, at_us):
    """A day's factors, of an asset that nobody trades: there are gate inputs, and no gate."""
    path.parent.mkdir()
    row = {
        "name": "funding",
        "asset": "NOBODY",
        "value": 1e-4,
        "fetch_time": at_us,
        "lifetime_s": 9e4,
    }
    pq.write_table(pa.Table.from_pylist([row], schema=SCHEMA), path)


def book_records(scans):
    """Yield records of one asset's book a second after each scan, wider than the modelled spread."""
    for scan in scans:
        price, moment = scan.prices[0], from_us(scan.timestamp_us + 1_000_000)
        sides = (
            [(price * 0.999, 60.0), (price * 0.998, 9.0)],
            [(price * 1.001, 40.0), (price * 1.002, 9.0)],
        )
        yield BookLine(at=moment, assets={scan.assets[0]: features(*sides, moment)})


def paper_day(tmp_path, books=None, n_scans=200):
    """Trade recorded scans with a trader process fed from files."""
    home = tmp_path / "home"
    desk = make_desk(home, **TURNING)
    market, first_us = sample_market()
    scans = []
    for number, row in enumerate(market.rows_of(first_us, 2**62)[:n_scans], start=1):
        scan = msgspec.structs.replace(next(iter(market.scans_at(row))), scan_number=number)
        write_scan(home / "recorded", scan)
        scans.append(scan)
    command = [sys.executable, "-m", "dolphin_realtime.cli", "service", "trader", "BLUE",
               "--scans", str(home / "recorded")]  # fmt: skip
    if books is not None:
        documents = (BooksDocument(assets=b.assets, pushed_at=b.at) for b in books(scans))
        lines = b"\n".join(msgspec.json.encode(document) for document in documents)
        (tmp_path / "books.jsonl").write_bytes(lines)
        command += ["--book", str(tmp_path / "books.jsonl")]
    done = subprocess.run(command, env=desk.stack.env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return home, scans


def test_fills_at_a_book_are_a_cause_of_their_own_and_gates_agree(tmp_path, monkeypatch):
    home, scans = paper_day(tmp_path, book_records)
    monkeypatch.setenv("DOLPHIN_HOME", str(home))
    for name, value in TURNING.items():
        monkeypatch.setenv(f"DOLPHIN_{name.upper()}", str(value))
    day = day_of(scans[0].timestamp_us)
    raw = tmp_path / f"{day}.jsonl"
    raw.write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in book_records(scans)))
    archive_books(raw, home / "book_archive" / raw.with_suffix(".parquet").name)
    found = versus_paper(load(), "BLUE", day, ScanDays.of(home / "recorded"))
    assert found.by_cause[differences.BOOK] > 3
    assert set(found.by_cause) == {differences.BOOK, differences.CARRIED}
    assert found.unexplained == 0, found.examples
    assert found.drift != 0.0
