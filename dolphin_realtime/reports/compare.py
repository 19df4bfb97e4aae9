"""Compares two instances on the same scans: their orders and their figures.

Orders are joined on (timestamp, asset, side, leg): each instance has its own epochs and ids.
"""

from pathlib import Path

import msgspec

from dolphin_realtime.journal.database import reading
from dolphin_realtime.reports.figures import Figures, figures_of
from dolphin_realtime.reports.period import read_period

_ORDERS = "SELECT timestamp_us, asset, side, leg, quantity FROM orders"
_SCANS = "SELECT timestamp_us FROM equity"


class Comparison(msgspec.Struct, kw_only=True):
    """What two journals have in common and what differs; counts are over the common scans.

    Attributes:
        scans_in_common: Scans that both handled.
        same_orders: Orders with equal instant, asset, side, leg and quantity.
        same_but_size: Orders that are equal except for the quantity.
        only_first: Orders that only the first sent.
        only_second: Orders that only the second sent.
        settings: Parameters that differ, as (first, second).
    """

    first: str
    second: str
    scans_in_common: int
    scans_only_first: int
    scans_only_second: int
    same_orders: int
    same_but_size: int
    only_first: int
    only_second: int
    figures: dict[str, Figures]
    settings: dict[str, tuple[str, str]] = {}


def compare(folders: dict[str, Path]) -> Comparison:
    """Return how two instances' journals differ.

    Args:
        folders: The journal folder of each of the two, by instance.

    Raises:
        JournalError: If one has no journal.
    """
    (first, first_folder), (second, second_folder) = folders.items()
    a, b = _Side(first_folder), _Side(second_folder)
    common = a.scans & b.scans
    ours, theirs = a.orders_at(common), b.orders_at(common)
    shared = ours.keys() & theirs.keys()
    same = sum(1 for key in shared if ours[key] == theirs[key])
    return Comparison(
        first=first,
        second=second,
        scans_in_common=len(common),
        scans_only_first=len(a.scans - common),
        scans_only_second=len(b.scans - common),
        same_orders=same,
        same_but_size=len(shared) - same,
        only_first=len(ours) - len(shared),
        only_second=len(theirs) - len(shared),
        figures={first: a.figures, second: b.figures},
    )


class _Side:
    """One journal's scans, orders and figures."""

    def __init__(self, folder: Path) -> None:
        with reading(folder) as db:
            self.scans = {row[0] for row in db.execute(_SCANS)}
            self._orders = {tuple(row[:4]): float(row[4]) for row in db.execute(_ORDERS)}
            self.figures = figures_of(read_period(db))

    def orders_at(self, scans: set[int]) -> dict[tuple[object, ...], float]:
        """Return quantities by (instant, asset, side, leg) at some scans."""
        return {key: quantity for key, quantity in self._orders.items() if key[0] in scans}
