"""Recorded days come to what they came to before, to the last digit (order ids apart).

REFERENCE_DAYS says how many days of each record (default 1; `make prove-reference`: all).
`make record-reference` writes the reference anew; a change of it is named in CHANGELOG.md.
"""

import os

import pytest

from tests.reference.digest import SHOWN
from tests.reference.record import differences, load, run
from tests.reference.worlds import RECORDS
from tests.shared_data import require

N_DAYS = int(os.environ.get("REFERENCE_DAYS", "1"))


@pytest.mark.parametrize("name", RECORDS)
def test_recorded_days_come_to_the_same(name):
    record = RECORDS[name]
    require(record.prices)
    require(record.funding)
    found, expected = run(name, min(N_DAYS, record.days)), load(name)
    if found["arithmetic"] == expected["arithmetic"]:
        assert differences(expected, found) == []
    else:  # another processor's mathematics: the same trades, figures to a billionth
        _nearly(expected, found)


def _nearly(expected, found):
    for case, days in found["cases"].items():
        for day, lists in days.items():
            for name in SHOWN:
                before, now = expected["cases"][case][day].get(name), lists.get(name)
                assert (before is None) == (now is None), (case, day, name)
                if now:
                    assert now[0] == before[0], (case, day, name)
                    assert now[2] == [
                        pytest.approx(x, rel=1e-9) if isinstance(x, float) else x for x in before[2]
                    ]


def test_a_difference_in_one_digit_is_found():
    expected = load("sample")
    case, day = next((c, d) for c, days in expected["cases"].items() for d in days)
    found = load("sample")
    found["cases"][case][day]["fills"][1] = "0" * 24
    assert len(differences(expected, found)) == 1
