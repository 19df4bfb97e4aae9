"""Events of a market and of its feed; their times are counts of scans.

An event changes one scan at a time. Events of the market (`is_of_market`) are real: the venue's
books follow them. The others are faults of NG6 or its share alone.
"""

import math
from typing import ClassVar, Final

import msgspec

from dolphin_realtime.model.market.scan import Scan

FOREVER: Final = 1 << 40


class Event(msgspec.Struct, kw_only=True):
    """Something that happens in the scans [``at``, ``until``)."""

    is_of_market: ClassVar[bool] = True
    at: int
    until: int = FOREVER

    def change(self, n: int, scan: Scan) -> Scan | None:
        """Return a scan as this event changes it; None if the scan is not written at all."""
        return self._on(n, scan) if self.at <= n < self.until else scan

    def _on(self, n: int, scan: Scan) -> Scan | None:
        raise NotImplementedError


class Level(Event):
    """From one scan on, an asset's price is multiplied by ``factor``."""

    asset: str
    factor: float

    def _on(self, n: int, scan: Scan) -> Scan:  # noqa: ARG002 - an event like the others
        return _with_prices(scan, {self.asset: self.factor})


class Redenomination(Level):
    """One old unit becomes ``1 / factor`` new ones: like a Level, but never a sound price."""


class Wick(Level):
    """A false price that appears only in the scans, not at the venue."""

    is_of_market: ClassVar[bool] = False


class NoPrice(Event):
    """An asset's price is null."""

    is_of_market: ClassVar[bool] = False
    asset: str

    def _on(self, n: int, scan: Scan) -> Scan:  # noqa: ARG002
        prices = [None if a == self.asset else p for a, p in _pairs(scan)]
        return msgspec.structs.replace(scan, prices=prices)


class Halt(Event):
    """An asset's last price is repeated: halted, or delisted without notice."""

    asset: str
    price: float | None = None

    def change(self, n: int, scan: Scan) -> Scan:
        """Remember the price before, and repeat it."""
        if n < self.at or self.price is None:
            self.price = dict(_pairs(scan)).get(self.asset, self.price)
        return self._on(n, scan) if self.at <= n < self.until else scan

    def _on(self, n: int, scan: Scan) -> Scan:  # noqa: ARG002
        prices = [self.price if a == self.asset else p for a, p in _pairs(scan)]
        return msgspec.structs.replace(scan, prices=prices)


class Delisting(Event):
    """An asset is removed from the scans, and its eigenvalue with it."""

    asset: str

    def _on(self, n: int, scan: Scan) -> Scan:  # noqa: ARG002
        kept = [(a, p) for a, p in _pairs(scan) if a != self.asset]
        return _relisted(scan, kept)


class Listing(Event):
    """A new asset, whose price grows by ``growth`` a scan."""

    asset: str
    price: float = 1.0
    growth: float = 0.0

    def _on(self, n: int, scan: Scan) -> Scan:
        age = n - self.at
        price = self.price * math.exp(self.growth * age + 1e-3 * math.sin(age))
        return _relisted(scan, [*_pairs(scan), (self.asset, price)])


class Leap(Event):
    """From one scan on, every price is multiplied by ``factor``."""

    factor: float

    def _on(self, n: int, scan: Scan) -> Scan:  # noqa: ARG002
        return _with_prices(scan, dict.fromkeys(scan.assets, self.factor))


class Freeze(Event):
    """All prices repeat: the exchange is halted."""

    prices: dict[str, float | None] = {}

    def change(self, n: int, scan: Scan) -> Scan:
        """Remember the prices before, and repeat them."""
        if n < self.at:
            self.prices = dict(_pairs(scan))
            return scan
        return self._on(n, scan) if n < self.until else scan

    def _on(self, n: int, scan: Scan) -> Scan:  # noqa: ARG002
        prices = [self.prices.get(a, p) for a, p in _pairs(scan)]
        return msgspec.structs.replace(scan, prices=prices)


class Hole(Event):
    """No scan is written."""

    is_of_market: ClassVar[bool] = False

    def _on(self, n: int, scan: Scan) -> None:  # noqa: ARG002
        return None


class Restart(Event):
    """NG6 restarts before each scan until ``until``, so that each has number 1."""

    is_of_market: ClassVar[bool] = False

    def _on(self, n: int, scan: Scan) -> Scan:  # noqa: ARG002
        return msgspec.structs.replace(scan, scan_number=1)


class ClockStep(Event):
    """NG6's clock is ``seconds`` off."""

    is_of_market: ClassVar[bool] = False
    seconds: float

    def _on(self, n: int, scan: Scan) -> Scan:  # noqa: ARG002
        at_us = scan.timestamp_us + round(self.seconds * 1e6)
        return msgspec.structs.replace(scan, timestamp_us=at_us)


class BadEigenvalues(Event):
    """The first eigenvalue is null: the engine's matrix was invalid."""

    is_of_market: ClassVar[bool] = False

    def _on(self, n: int, scan: Scan) -> Scan:  # noqa: ARG002
        return msgspec.structs.replace(scan, eigenvalues=[None, *scan.eigenvalues[1:]])


class World:
    """Events of one market, applied in the given order.

    Args:
        events: The events; they keep state, so a world can be used only once.
        note: The scans' note on how they are simulated.
    """

    def __init__(self, events: list[Event], note: str) -> None:
        self._events, self._note = events, note

    def market(self, n: int, scan: Scan) -> Scan:
        """Return a scan after the market's own events."""
        for event in self._events:
            if event.is_of_market:
                scan = event.change(n, scan) or scan
        note = "; ".join(filter(None, [scan.simulated, self._note]))
        return msgspec.structs.replace(scan, simulated=note)

    def feed(self, n: int, scan: Scan) -> Scan | None:
        """Return a scan after the feed's events; None if it is not written."""
        told: Scan | None = scan
        for event in self._events:
            if told is not None and not event.is_of_market:
                told = event.change(n, told)
        return told


def _pairs(scan: Scan) -> list[tuple[str, float | None]]:
    return list(zip(scan.assets, scan.prices, strict=True))


def _with_prices(scan: Scan, factors: dict[str, float]) -> Scan:
    prices = [None if p is None else p * factors.get(a, 1.0) for a, p in _pairs(scan)]
    return msgspec.structs.replace(scan, prices=prices)


def _relisted(scan: Scan, pairs: list[tuple[str, float | None]]) -> Scan:
    """Return a scan of other assets, its eigenvalues adapted: as many as assets, and that sum."""
    values = [v or 0.0 for v in scan.eigenvalues][: len(pairs)]
    values += [1.0] * (len(pairs) - len(values))
    share = len(pairs) / (sum(values) or 1.0)
    return msgspec.structs.replace(
        scan,
        assets=[a for a, _ in pairs],
        prices=[p for _, p in pairs],
        eigenvalues=[v * share for v in values],
    )
