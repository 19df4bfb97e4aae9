"""The moon's phase, between the new moons around an instant. Pure.

Source: Meeus, Astronomical Algorithms (2nd edition), chapter 49: the mean new moon and the largest of its
periodic terms. New moons of 2015 to 2042 are at most 119 s from those of PyEphem 4.2, phases 0.00005.
"""

import math
from datetime import UTC, datetime, timedelta
from typing import Final

MONTH_DAYS: Final = 29.530588861
"""The mean time from new moon to new moon."""
EPOCH: Final = datetime(2000, 1, 6, 14, 20, 38, tzinfo=UTC) - timedelta(seconds=69)
"""The mean new moon number 0; terrestrial time is 69 s ahead of UTC since 2016."""
SUN: Final = (2.5534, 29.10535670)
MOON: Final = (201.5643, 385.81693528)
LATITUDE: Final = (160.7108, 390.67050284)
"""Mean anomaly of sun and moon and the moon's argument of latitude, in degrees: at new moon 0, and a month."""
TERMS: Final = (
    (-0.40720, 0, 1, 0), (0.17241, 1, 0, 0), (0.01608, 0, 2, 0), (0.01039, 0, 0, 2),
    (0.00739, -1, 1, 0), (-0.00514, 1, 1, 0), (0.00208, 2, 0, 0), (-0.00111, 0, 1, -2),
    (-0.00057, 0, 1, 2), (0.00056, 1, 2, 0), (-0.00042, 0, 3, 0), (0.00042, 1, 0, 2),
    (0.00038, 1, 0, -2), (-0.00024, -1, 2, 0),
)  # fmt: skip
"""Days, and how often the sun's anomaly, the moon's and the latitude are in the sine's argument."""


def new_moon(number: int) -> datetime:
    """Return the instant of a new moon; number 0 is that of 2000-01-06."""
    sun, moon, latitude = (
        math.radians(at_0 + a_month * number) for at_0, a_month in (SUN, MOON, LATITUDE)
    )
    late = sum(days * math.sin(s * sun + m * moon + f * latitude) for days, s, m, f in TERMS)
    return EPOCH + timedelta(days=MONTH_DAYS * number + late)


def moon_phase(moment: datetime) -> float:
    """Return the phase in [0, 1): 0 new, 0.5 about full, linear in time between two new moons."""
    number = math.floor((moment - EPOCH) / timedelta(days=MONTH_DAYS))
    while new_moon(number) > moment:
        number -= 1
    while (following := new_moon(number + 1)) <= moment:
        number += 1
    last = new_moon(number)
    return (moment - last) / (following - last)
