"""The sensor of the sources: one alert for each that never answered, none for what is off."""

from datetime import timedelta

from dolphin_dagster.factors import health
from dolphin_dagster.factors.registry import external
from dolphin_dagster.factors.verdicts import is_fresh
from tests.factors.test_grid import WALL, reading, seen_of, states, wrong_after


def test_a_source_that_never_answered_raises_one_alert():
    memory, told = health.Memory(), []
    for n in range(50):
        wall = WALL + timedelta(minutes=n)
        seen = seen_of({}, failures=min(n, 5))
        _, _, raised, memory = health.look(seen, memory, wrong_after(told), wall)
        told += raised
    assert states(told) == {(name, "red") for name in external()}
    assert len(told) == len(external())
    later = WALL + timedelta(hours=1)
    _, _, raised, _ = health.look(seen_of({}), memory, wrong_after(told), later)
    assert states(raised) == set(), "an answer is a reading in the grid"


def test_an_asset_that_left_the_scan_is_not_waited_for():
    funding = external()["funding"]
    held = {
        (name, asset): reading(1e-4, WALL if asset == "A" else WALL - timedelta(days=2))
        for name in funding.names
        for asset in ("A", "LEFT")
    }
    assert not is_fresh(funding, held, WALL).passed
    assert is_fresh(funding, held, WALL, {"A"}).passed
    assert not is_fresh(funding, held, WALL + timedelta(hours=17), {"A"}).passed
