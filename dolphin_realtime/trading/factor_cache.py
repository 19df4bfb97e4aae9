"""The newest external factors: `exf_latest` as it comes, read by the signal at each scan.

The gates check lifetimes in scan time. If a document cannot be read the last one stays, and its
readings expire. A scan may be slightly older than the newest document: it gets each reading as it
was known at the scan's own instant.
"""

from typing import Final

import msgspec

from dolphin_realtime.factors.documents import read_factor_document
from dolphin_realtime.model.signal.gates import NO_FACTORS, Factors, Reading

KEPT: Final = 32
"""Number of documents kept; only documents that change a factor of the signal are kept."""


class FactorCache:
    """The newest factors, and the ones before them."""

    def __init__(self) -> None:
        self._documents: list[tuple[int, Factors]] = [(0, NO_FACTORS)]

    def update(self, text: str) -> None:
        """Add a document.

        Raises:
            ValueError: If it is not a JSON object.
        """
        factors = msgspec.structs.replace(read_factor_document(text), past=self)
        if factors == self._documents[0][1]:
            return
        self._documents = [(_newest_us(factors), factors), *self._documents[: KEPT - 1]]

    def at(self, now_us: int) -> Factors:
        """Return each factor's newest reading that was known at a scan's instant."""
        newest_us, newest = self._documents[0]
        if newest_us <= now_us:
            return newest
        funding = {
            asset: self._known(reading, asset, now_us) for asset, reading in newest.funding.items()
        }
        dvol = newest.dvol_btc
        dvol = None if dvol is None else self._known(dvol, None, now_us)
        return Factors(funding=funding, dvol_btc=dvol, past=self)

    def funding_before(self, asset: str, at_us: int) -> Reading | None:
        """Return the newest funding reading of an asset that was fetched before an instant."""
        for _, factors in self._documents:
            reading = factors.funding.get(asset)
            if reading is not None and reading.fetch_us < at_us:
                return reading
        return None

    def _known(self, reading: Reading, asset: str | None, now_us: int) -> Reading:
        """Return the newest reading of a factor that was known at an instant, else this one."""
        if reading.fetch_us <= now_us:
            return reading
        for _, factors in self._documents[1:]:
            held = factors.dvol_btc if asset is None else factors.funding.get(asset)
            if held is not None and held.fetch_us <= now_us:
                return held
        return reading


def _newest_us(factors: Factors) -> int:
    readings = [*factors.funding.values(), *filter(None, [factors.dvol_btc])]
    return max((reading.fetch_us for reading in readings), default=0)
