"""A day's beginning that trials share: equal to one warmed up alone, and of the scans on disk."""

import os

import pytest

from dolphin_realtime.config.trader_parameters import changed, load_parameters
from dolphin_realtime.model.portfolio import saved
from dolphin_realtime.scans.archive import write_archive
from dolphin_realtime.scans.days import ScanDays
from dolphin_realtime.sweep import warm_states
from dolphin_realtime.sweep.warm_states import begin_warm
from dolphin_realtime.trading.warm_up import portfolio_of, warm_up_from
from tests.scans import walk

SCANS = walk(400)
DAY = "2099-01-01"


@pytest.fixture
def archive(tmp_path):
    warm_states._warm_state.cache_clear()
    write_archive(tmp_path / "2024-08-07.parquet", ((scan, "test") for scan in SCANS[:300]))
    return tmp_path


def begun(archive, *assignments):
    portfolio = portfolio_of("SWEEP", changed(load_parameters("", {}), assignments))
    begin_warm(portfolio, archive, ScanDays.of(archive), 1, DAY)
    return portfolio


def alone(archive, *assignments):
    portfolio = portfolio_of("SWEEP", changed(load_parameters("", {}), assignments))
    warm_up_from(portfolio, ScanDays.of(archive), 1, DAY)
    return portfolio


def n_made():
    return warm_states._warm_state.cache_info().misses


def test_what_begins_from_a_kept_state_is_what_was_warmed_up_alone(archive):
    sets = [("s_in=0.5",), ("s_in=0.5", "asset_cap=0.02", "start_cash_usd=5000")]
    for words in sets:
        one, other = begun(archive, *words), alone(archive, *words)
        assert saved.save(one) == saved.save(other)
        for scan in SCANS[300:]:
            signals = [p.signals.step(scan) for p in (one, other)]
            assert signals[0] == signals[1]
    assert n_made() == 1


def test_another_parameter_of_the_signal_is_another_state(archive):
    begun(archive, "s_in=0.5")
    begun(archive, "tau_x_s=900")
    assert n_made() == 2


def test_scans_that_changed_on_disk_are_read_again(archive):
    before = begun(archive).prices
    path = archive / "2024-08-07.parquet"
    write_archive(path, ((scan, "test") for scan in SCANS[:200]))
    os.utime(path, ns=(1, 1))
    assert begun(archive).prices != before
    assert n_made() == 2
