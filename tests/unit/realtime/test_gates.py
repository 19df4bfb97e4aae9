from datetime import UTC, datetime

import pytest

from dolphin_realtime.model.instant import to_us
from dolphin_realtime.model.signal.gates import Reading, calendar_gate, dvol_gate, funding_gate


def at(*fields):
    return to_us(datetime(*fields, tzinfo=UTC))


@pytest.mark.parametrize(
    ("moment", "gate"),
    [
        ((2024, 8, 7, 12), 1),
        ((2024, 8, 10, 12), 0.75),
        ((2024, 8, 10, 0, 1), 0),
        ((2024, 8, 10, 0, 1, 0, 1), 0.75),
        ((2024, 8, 10, 23, 59), 0),
        ((2024, 8, 30, 7, 44, 59, 999_999), 1),
        ((2024, 8, 30, 7, 45), 0.5),
        ((2024, 8, 30, 8, 0, 30), 0),
        ((2024, 8, 30, 8, 15), 0.5),
        ((2024, 8, 30, 8, 15, 0, 1), 1),
        ((2024, 8, 23, 8, 10), 1),
    ],
)
def test_calendar_gate(moment, gate):
    assert calendar_gate(at(*moment)) == gate


def test_funding_gate_of_the_worked_example():
    assert funding_gate(1, 0.0005, 8) == pytest.approx(0.565625)
    assert funding_gate(-1, 0.0005, 8) == 1
    assert funding_gate(1, 0.0005, None) == funding_gate(1, 0.0005, 8)


@pytest.mark.parametrize(("value", "gate"), [(79.9, 1), (80, 0.5), (81, 0.5)])
def test_dvol_gate_at_below_and_above_its_percentile(value, gate):
    reading = Reading(value=value, fetch_us=0, lifetime_s=600, percentile_90=80)
    assert dvol_gate(reading, 600_000_000) == gate
    assert dvol_gate(reading, 600_000_001) == 1
    assert dvol_gate(None, 0) == 1
