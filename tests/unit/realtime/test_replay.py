"""The stand-in for NG6: honest scans from recorded prices."""

import msgspec
import numpy as np
import pytest

from dolphin_realtime.model.errors import SettingsError
from dolphin_realtime.model.instant import DAY_US, from_us
from dolphin_realtime.replay.market import (
    MIN_RETURNS,
    SAMPLE,
    Market,
    PriceTable,
    ReplayParams,
    eigenvalues,
    load_prices,
)
from dolphin_realtime.replay.pace import Pacer
from dolphin_realtime.scans.files import parse_scan

TABLE = load_prices()


def test_the_sample_is_four_whole_days_and_small():
    assert len(TABLE.assets) == 16
    assert len(TABLE.times_us) == 4 * 1440
    assert from_us(int(TABLE.times_us[0])).isoformat() == "2025-05-12T00:00:00+00:00"
    assert from_us(int(TABLE.times_us[-1])).isoformat() == "2025-05-15T23:59:00+00:00"
    assert SAMPLE.stat().st_size < 300_000


def test_recorded_scans_are_not_called_simulated_and_hold_the_close():
    market = Market(TABLE, ReplayParams())
    (scan,) = market.scans_at(500)
    assert scan.simulated is None
    assert scan.prices == TABLE.prices[500].tolist()
    assert sum(scan.eigenvalues) == pytest.approx(16)
    assert scan.eigenvalues == sorted(scan.eigenvalues, reverse=True)


def test_eigenvalues_are_those_of_the_correlation_matrix():
    returns = np.diff(np.log(TABLE.prices[100:341]), axis=0)
    expected = np.sort(np.linalg.eigvalsh(np.corrcoef(returns.T)))[::-1]
    assert eigenvalues(returns) == pytest.approx(expected.tolist())


def test_an_asset_that_does_not_move_is_uncorrelated():
    returns = np.diff(np.log(TABLE.prices[100:341]), axis=0)
    returns[:, 3] = 0.0
    assert sum(eigenvalues(returns)) == pytest.approx(16)
    assert any(v == pytest.approx(1.0) for v in eigenvalues(returns))


def test_below_the_record_prices_follow_a_seeded_bridge_and_say_so():
    market = Market(TABLE, ReplayParams(cadence_s=10.0, seed=3))
    scans = list(market.scans_at(500))
    assert len(scans) == 6
    assert {s.simulated for s in scans} == {"Brownian bridge between recorded closes, seed 3"}
    assert scans[-1].prices == TABLE.prices[500].tolist()
    steps = np.diff([s.timestamp_us for s in scans])
    assert set(steps.tolist()) == {10_000_000}
    again = list(Market(TABLE, ReplayParams(cadence_s=10.0, seed=3)).scans_at(500))
    other = list(Market(TABLE, ReplayParams(cadence_s=10.0, seed=4)).scans_at(500))
    assert again == scans
    assert other[0].prices != scans[0].prices


def test_after_the_record_a_new_epoch_is_shifted_by_whole_days_and_chained(tmp_path):
    short = PriceTable(TABLE.assets, TABLE.times_us[:40], TABLE.prices[:40])
    market = Market(short, ReplayParams())
    pacer = Pacer(market, tmp_path, tmp_path / "place.json", 0)
    scans = [pacer.write_next() for _ in range(12)]
    assert [s.scan_number for s in scans] == [1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4]
    assert (scans[8].timestamp_us - scans[0].timestamp_us) % DAY_US == 0
    assert scans[8].prices == pytest.approx(scans[7].prices)
    assert "record replayed again" in scans[8].simulated
    path = next(p for p in tmp_path.rglob("scan_000001_*") if "05-13" in str(p))
    assert parse_scan(path.read_bytes(), path.name).simulated == scans[8].simulated
    assert MIN_RETURNS == 32


def test_a_replay_goes_on_where_it_stopped(tmp_path):
    market = Market(TABLE, ReplayParams())
    first = Pacer(market, tmp_path, tmp_path / "place.json", 0)
    last = [first.write_next() for _ in range(3)][-1]
    scan = Pacer(market, tmp_path, tmp_path / "place.json", 0).write_next()
    assert scan.scan_number == 4
    assert scan.timestamp_us == last.timestamp_us + 60_000_000
    pacer = Pacer(market, tmp_path, tmp_path / "place.json", 0)
    pacer.restart_numbers()
    assert pacer.write_next().scan_number == 1


def test_a_table_without_timestamps_is_refused(tmp_path):
    with pytest.raises(SettingsError, match="no such file"):
        load_prices(tmp_path / "none.parquet")
    assert faults_number(TABLE) == 1


def faults_number(table):
    from dolphin_realtime.replay import faults

    (scan,) = Market(table, ReplayParams()).scans_at(500)
    return faults.restarted(msgspec.structs.replace(scan, scan_number=77)).scan_number
