"""Coverage: which part of each day a run over recorded scans had, and what it left out.

Counting scans, holes and files that are not scans belongs here; reading them, in days.py.
Shares are fractions of the UTC day, by the scans' usual interval.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from statistics import median
from typing import Final

import msgspec

from dolphin_realtime.model.instant import DAY_US, day_us, from_us, span
from dolphin_realtime.model.market.scan import Scan

WHOLE_SHARE: Final = 0.99
HOLE_INTERVALS: Final = 3.0
HOLE_S: Final = 180.0
"""A pause longer than this, and than three usual intervals, is a hole."""
SHOWN: Final = 3
LONGEST: Final = 80
OUT_OF_ORDER: Final = "out of order"
REPEATED: Final = "a repeat of the scan before"
_NUMBER: Final = re.compile(r"\d[\d.,]*")


class DayCoverage(msgspec.Struct, kw_only=True):
    """The coverage of one day in a run.

    Attributes:
        scans: Scans used.
        covered: Share of the day that they cover.
        hole_s: Longest time without a scan, the day's ends included; ``hole_us`` is its start.
        usual_s: Median time between two scans.
        left_out: Files and scans that were not used, by reason.
    """

    day: str
    scans: int = 0
    covered: float = 0.0
    hole_s: float = 0.0
    hole_us: int = 0
    usual_s: float = 0.0
    left_out: dict[str, int] = {}

    @property
    def is_whole(self) -> bool:
        """Whether the day is fully covered and nothing was left out."""
        longest_s = max(HOLE_S, HOLE_INTERVALS * self.usual_s)
        return self.covered >= WHOLE_SHARE and self.hole_s <= longest_s and not self.left_out

    @property
    def words(self) -> str:
        """One sentence."""
        if not self.scans:
            return f"{self.day}: no scan{_reasons(self.left_out)}."
        hole = f"{span(self.hole_s)} from {from_us(self.hole_us):%H:%M:%S}"
        return (
            f"{self.day}: {self.scans:,} scans cover {100 * self.covered:.1f} % of the day, the longest "
            f"hole is {hole} UTC{_reasons(self.left_out)}."
        )


def _reasons(left_out: Mapping[str, int]) -> str:
    if not left_out:
        return ""
    shown = sorted(left_out.items(), key=lambda pair: -pair[1])
    words = ", ".join(f"{n:,} {why}" for why, n in shown[:SHOWN])
    more = f", and {len(shown) - SHOWN} reasons more" if len(shown) > SHOWN else ""
    return f"; left out: {sum(left_out.values()):,} ({words}{more})"


def coverage_of(day: str, times_us: Iterable[int], left_out: Mapping[str, int]) -> DayCoverage:
    """Return a day's coverage.

    Args:
        day: YYYY-MM-DD, UTC.
        times_us: Instants of the scans used, ascending.
        left_out: What was not used, by reason.
    """
    begin_us = day_us(day)
    times = [at for at in times_us if begin_us <= at < begin_us + DAY_US]
    found = DayCoverage(day=day, scans=len(times), left_out=dict(left_out))
    if not times:
        found.hole_s, found.hole_us = DAY_US / 1e6, begin_us
        return found
    gaps = [b - a for a, b in pairwise(times)]
    found.usual_s = median(gaps) / 1e6 if gaps else 0.0
    found.covered = min(1.0, len(times) * found.usual_s * 1e6 / DAY_US)
    ends = [begin_us, *times, begin_us + DAY_US]
    hole_us, found.hole_us = max((b - a, a) for a, b in pairwise(ends))
    found.hole_s = hole_us / 1e6
    return found


def reasons_of(left_out: Mapping[str, str]) -> Counter[str]:
    """Return how many files are left out per kind of reason; file names and numbers are ignored."""
    return Counter(_kind(why.removeprefix(f"{name}: ")) for name, why in left_out.items())


def _kind(why: str) -> str:
    head, _, _ = why.partition(": ")
    return head if head == OUT_OF_ORDER else _NUMBER.sub("N", why)[:LONGEST]


class Reading:
    """Records what a run reads, day by day."""

    def __init__(self) -> None:
        self._day = ""
        self._times: dict[str, list[int]] = {}
        self._left_out: dict[str, Counter[str]] = {}

    def of(self, scans: Iterable[Scan], day: str) -> Iterator[Scan]:
        """Yield the scans of a day and record them."""
        times = self._times.setdefault(day, [])
        for scan in scans:
            self._day = day
            times.append(scan.timestamp_us)
            yield scan

    def leave_out(self, day: str, reasons: Mapping[str, int]) -> None:
        """Record files of a day that are not used, by reason."""
        self._left_out.setdefault(day, Counter()).update(reasons)

    def refuse(self, scan: Scan, why: str) -> None:
        """Record that the scan yielded last is not used."""
        self.leave_out(self._day, {why: 1})
        if self._times.get(self._day) and self._times[self._day][-1] == scan.timestamp_us:
            self._times[self._day].pop()

    def days(self) -> list[DayCoverage]:
        """Return the coverage of each day."""
        return [
            coverage_of(day, sorted(self._times.get(day, ())), self._left_out.get(day, {}))
            for day in sorted(self._times.keys() | self._left_out.keys())
        ]


def line_of(days: Iterable[DayCoverage]) -> str:
    """Return one line that sums up what a run read."""
    found = list(days)
    scans, left = sum(d.scans for d in found), sum(sum(d.left_out.values()) for d in found)
    partial = [d for d in found if not d.is_whole]
    head = f"read {scans:,} scans of {len(found)} days, left out {left:,}"
    if not partial:
        return f"{head}; every day is covered"
    more = f" and {len(partial) - 1} days more, see the caveats" if len(partial) > 1 else ""
    return f"{head}; {partial[0].words}{more}"
