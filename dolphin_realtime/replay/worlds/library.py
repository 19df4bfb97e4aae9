"""The named worlds, for tests, drills and `dolphin up --demo --world NAME`.

Scans are counted from the start of the replay. The assets are those of the shipped sample.
"""

from collections.abc import Callable
from typing import Final

import msgspec

from dolphin_realtime.model.errors import SettingsError
from dolphin_realtime.replay.worlds.events import (
    BadEigenvalues,
    ClockStep,
    Delisting,
    Event,
    Freeze,
    Halt,
    Hole,
    Leap,
    Level,
    Listing,
    NoPrice,
    Redenomination,
    Restart,
    Wick,
    World,
)


class Named(msgspec.Struct, frozen=True):
    """A named world: a description, and its events."""

    means: str
    events: Callable[[], list[Event]]


def _bad_day() -> list[Event]:
    return [
        Wick(at=40, until=41, asset="BNBUSDT", factor=1e-3),
        Wick(at=52, until=54, asset="SOLUSDT", factor=1.6),
        Level(at=64, asset="ETCUSDT", factor=1.35),
        Redenomination(at=80, asset="XRPUSDT", factor=1000.0),
        Halt(at=90, asset="ADAUSDT"),
        Restart(at=104, until=107),
        Listing(at=112, asset="NEWUSDT", price=0.02, growth=0.01),
        Hole(at=124, until=129),
        NoPrice(at=136, until=150, asset="LINKUSDT"),
        Delisting(at=150, asset="LAYERUSDT"),
        BadEigenvalues(at=160, until=162),
        ClockStep(at=170, until=172, seconds=-90.0),
        Leap(at=190, factor=0.78),
    ]


WORLDS: Final = {
    "wick": Named(
        "one scan shows a coin at a thousandth, two another at 1.6 times",
        lambda: [
            Wick(at=120, until=121, asset="BNBUSDT", factor=1e-3),
            Wick(at=150, until=152, asset="SOLUSDT", factor=1.6),
        ],
    ),
    "new-level": Named(
        "a coin leaps by a third and stays there",
        lambda: [Level(at=120, asset="ETCUSDT", factor=1.35)],
    ),
    "redenomination": Named(
        "a coin's unit becomes a thousandth, another's a thousandfold",
        lambda: [
            Redenomination(at=120, asset="XRPUSDT", factor=1000.0),
            Redenomination(at=160, asset="ADAUSDT", factor=1e-3),
        ],
    ),
    "halted": Named(
        "three coins repeat their price for two hours while the market goes on",
        lambda: [
            Halt(at=90, until=210, asset=a, price=None) for a in ("ADAUSDT", "XRPUSDT", "LTCUSDT")
        ],
    ),
    "delisted": Named(
        "a coin leaves the lists, another's price is null from then on",
        lambda: [
            Delisting(at=120, asset="LAYERUSDT"),
            NoPrice(at=140, asset="LINKUSDT"),
        ],
    ),
    "listing": Named(
        "a new coin comes and doubles, and doubles again",
        lambda: [Listing(at=60, asset="NEWUSDT", price=0.02, growth=0.02)],
    ),
    "holes": Named(
        "scans are missing: five, and once three hours",
        lambda: [Hole(at=100, until=105), Hole(at=180, until=360)],
    ),
    "restarts": Named(
        "NG6 dies after its first scan, five times, and its clock is 90 s slow for two scans",
        lambda: [
            Restart(at=100, until=105),
            ClockStep(at=150, until=152, seconds=-90.0),
            Restart(at=200, until=201),
        ],
    ),
    "leap": Named(
        "the whole market falls by 22 % between two scans, and stands still an hour later",
        lambda: [Leap(at=120, factor=0.78), Freeze(at=180, until=190)],
    ),
    "bad-eigenvalues": Named(
        "the engine's matrix is unusable for three scans",
        lambda: [BadEigenvalues(at=120, until=123)],
    ),
    "bad-day": Named("most of these on one day", _bad_day),
}


def world(name: str) -> World:
    """Return a world by its name, to be used once.

    Raises:
        SettingsError: If there is no world of that name.
    """
    named = WORLDS.get(name)
    if named is None:
        raise SettingsError(f"there is no world {name!r}; there are {', '.join(WORLDS)}")
    return World(named.events(), f"world {name}: {named.means}")
