"""Facts about a day's archive: gaps, coherence, counts, and which assets came and went.

The archive is read by columns, one row group at a time. What counts as a gap, and what explains
one, are pure functions.
"""

import re
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import pyarrow as pa

from dolphin_realtime.model.instant import DAY_US, day_of, day_us
from dolphin_realtime.model.market.scan_checks import sum_is_off
from dolphin_realtime.scans.archive import batches, opened, read_left_out, slices
from dolphin_realtime.scans.gaps import cadence_us, gap_starts

_CLOCK: Final = re.compile(r"_(\d{2})(\d{2})(\d{2})\.arrow$")


class Gap(msgspec.Struct, frozen=True):
    """A span without scans; ``cause`` is None if nothing on record explains it."""

    from_us: int
    to_us: int
    cause: str | None

    @property
    def seconds(self) -> float:
        """Its length."""
        return (self.to_us - self.from_us) / 1e6


class DayFacts(msgspec.Struct, kw_only=True):
    """Facts of one archive.

    Attributes:
        cadence_s: Median time between scans, 0 if there are fewer than two.
        expected: Scans that the day would have at that cadence, from 00:00 to 24:00.
        incoherent: Scans whose eigenvalues cannot be those of their assets' correlation matrix.
        appeared: Assets of the last scan that the first one lacks; ``vanished`` the reverse.
    """

    rows: int
    epochs: int
    first_us: int
    last_us: int
    cadence_s: float
    expected: int
    gaps: list[Gap]
    incoherent: int
    assets: int
    appeared: list[str]
    vanished: list[str]
    left_out: dict[str, str]

    @property
    def unexplained(self) -> list[Gap]:
        """Gaps without a cause on record."""
        return [gap for gap in self.gaps if gap.cause is None]

    @property
    def expected_so_far(self) -> int:
        """Scans expected between the first and the last one, at that cadence."""
        if not self.cadence_s:
            return self.rows
        return round((self.last_us - self.first_us) / 1e6 / self.cadence_s) + 1

    @property
    def churn(self) -> float:
        """Assets that came or went, as a share of all that were there."""
        return (len(self.appeared) + len(self.vanished)) / max(1, self.assets)


def read_facts(path: Path) -> DayFacts:
    """Return the facts of an archive.

    Raises:
        ScanFileError: If the file is not an archive, or holds no scan.
    """
    times: list[int] = []
    epochs: list[int] = []
    incoherent = 0
    first: pa.Array = None
    last: pa.Array = None
    names: set[str] = set()
    with opened(path) as file:
        for batch in batches(file, path, ["timestamp", "epoch", "assets", "eigenvalues"]):
            columns = {c: batch.column(c) for c in batch.schema.names}
            times += columns["timestamp"].cast(pa.int64()).to_pylist()
            epochs += columns["epoch"].to_pylist()
            incoherent += _incoherent(columns)
            for listed in slices(columns["assets"]):
                if last is None or not listed.equals(last):
                    names |= set(listed.to_pylist())
                    first = listed if first is None else first
                last = listed
    left_out = read_left_out(path)
    begin, end = (set(x.to_pylist()) if x is not None else set() for x in (first, last))
    cadence = cadence_us(times)
    return DayFacts(
        rows=len(times),
        epochs=len(set(epochs)),
        first_us=times[0] if times else 0,
        last_us=times[-1] if times else 0,
        cadence_s=cadence / 1e6,
        expected=round(DAY_US / cadence) if cadence else 0,
        gaps=find_gaps(times, epochs, cadence, left_out),
        incoherent=incoherent,
        assets=len(names),
        appeared=sorted(end - begin),
        vanished=sorted(begin - end),
        left_out=left_out,
    )


def _incoherent(columns: dict[str, Any]) -> int:
    """Return how many rows of a batch have eigenvalues that cannot be their assets'."""
    values = columns["eigenvalues"]
    flat = values.values.to_numpy(zero_copy_only=False)
    offsets = values.offsets.to_numpy()
    n_assets = np.diff(columns["assets"].offsets.to_numpy())
    n_values = np.diff(offsets)
    rows = zip(pairwise(offsets), n_assets.tolist(), n_values.tolist(), strict=True)
    return sum(
        1 for (a, b), n, m in rows if n != m or n == 0 or sum_is_off(float(flat[a:b].sum()), n)
    )


def find_gaps(
    times: list[int], epochs: list[int], cadence: float, left_out: dict[str, str]
) -> list[Gap]:
    """Return the spans longer than 3 cadences between scans, with what explains each.

    Causes on record are a restart of NG6 (a new epoch after the gap) and files of that span that
    were left out.
    """
    gaps = []
    for n in gap_starts(times, cadence):
        a, b = times[n : n + 2]
        cause = "NG6 restarted" if epochs[n] != epochs[n + 1] else None
        bad = sum(1 for name in left_out if _is_within(name, a, b))
        cause = cause or (f"{bad} files left out" if bad else None)
        gaps.append(Gap(a, b, cause))
    return gaps


def _is_within(name: str, from_us: int, to_us: int) -> bool:
    """Return whether the time in a scan file's name lies within a span."""
    clock = _CLOCK.search(name)
    if clock is None:
        return False
    hours, minutes, seconds = (int(part) for part in clock.groups())
    at_us = day_us(day_of(from_us)) + (hours * 3600 + minutes * 60 + seconds) * 1_000_000
    return from_us <= at_us + 999_999 and at_us <= to_us
