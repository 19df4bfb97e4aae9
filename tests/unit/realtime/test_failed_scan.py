"""The signal of a scan that failed a check: zeros, open gates, one reason for every asset."""

import msgspec
import pytest

from dolphin_realtime.model.signal.params import SignalParams
from dolphin_realtime.model.signal.state import SignalState
from tests.scans import make_scan, walk

PRICES = [100.0 + n for n in range(12)]


@pytest.mark.parametrize(("fields", "reason"), [
    ({"values": [None] * 12}, "BAD_EIGENVALUES"), ({"values": []}, "BAD_EIGENVALUES"),
    ({"prices": [None] * 11 + [1.0]}, "TOO_FEW_ASSETS"),
    ({"names": ["A"] * 12}, "DUPLICATE_ASSET"),
])  # fmt: skip
def test_every_field_of_a_failed_signal(fields, reason):
    scan = make_scan(7, **{"prices": PRICES, **fields}, epoch=3)
    found = SignalState(SignalParams(n_min=10)).step(scan)
    assert (found.epoch, found.scan_number, found.timestamp_us) == (3, 7, scan.timestamp_us)
    assert (found.assets, found.reason) == (scan.assets, [reason] * 12)
    assert found.signal == found.s_score == [0.0] * 12
    assert (found.direction, found.flags, found.missing) == ([0] * 12, (), {})
    assert (found.r_ar, found.r_vol, found.risk_scaler, found.gate_dvol) == (0.0, 0.0, 0.0, 1.0)
    assert (found.gate_book, found.gate_funding, found.gate_calendar) == (
        [1.0] * 12,
        [1.0] * 12,
        1.0,
    )


def test_a_failed_scan_teaches_nothing_and_the_next_one_goes_on():
    scans = walk(30)
    whole, holed = SignalState(), SignalState()
    for n, scan in enumerate(scans):
        bad = msgspec.structs.replace(scan, eigenvalues=[None] * len(scan.assets))
        if n == 20:
            averages = [(e.w, e.m, e.v) for e in (holed.short, holed.long, holed.market_var)]
            holed.step(bad)
            assert [
                (e.w, e.m, e.v) for e in (holed.short, holed.long, holed.market_var)
            ] == averages
            assert holed.accepted_us == scans[19].timestamp_us
        else:
            holed.step(scan)
        whole.step(scan)
    assert (holed.n_scans, whole.n_scans) == (29, 30)
    assert holed.last.timestamp_us == whole.last.timestamp_us
    again = SignalState.load(holed.save())
    assert again.save() == holed.save()
    assert again.step(walk(31)[-1]) == holed.step(walk(31)[-1])
