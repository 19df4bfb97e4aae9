"""What a venue's stream of mark prices says: the last mark of each asset, the closes of its minutes. Pure.

The marks of one message are of one instant. A mark of another instant, of an asset that is not scanned, or with a
price that is none decides about nothing but itself; a message from the future is refused whole, or a
clock that was wrong once would end all scans until its time has come.
"""

import re
from collections.abc import Collection, Iterable, Iterator
from statistics import median_low
from typing import Final

import msgspec

from dolphin_realtime.model.instant import MINUTE_US
from dolphin_realtime.model.market.return_window import ReturnWindow

AHEAD_US: Final = 10_000_000
"""How far a venue's clock may be ahead of the host's."""
APART_US: Final = 10_000_000
"""How far the instant of a mark may be from that of its message."""
CLOSING_US: Final = 15_000_000
"""The last mark of a minute is its close, if it is of these last seconds."""
HALTED_US: Final = 30_000_000
"""An asset without a mark for this long has no price in a scan."""
_PRICE: Final = re.compile(r"[0-9]{1,15}(\.[0-9]{1,15})?", re.ASCII)


class Mark(msgspec.Struct, frozen=True):
    """One asset's mark price in Binance USD-M's wire format; ``event_ms`` is the venue's clock."""

    symbol: str = msgspec.field(name="s")
    event_ms: int = msgspec.field(name="E")
    price: str = msgspec.field(name="p")


class MarkFeed:
    """The marks of the assets that are scanned.

    Args:
        window: Is given the closes of whole minutes.

    Attributes:
        now_us: The venue's instant of the last message that was accepted; 0 before the first.
    """

    def __init__(self, window: ReturnWindow) -> None:
        self._window = window
        self._last: dict[str, tuple[int, float]] = {}
        self._first_us = self.now_us = 0

    def begin(self) -> None:
        """Forget the last marks: the connection is new, and what came between is not known.

        So no mark from before a loss is taken for the close of its minute.
        """
        self._last, self._first_us, self.now_us = {}, 0, 0

    def is_past_edge(self, edge_us: int) -> bool:
        """Return whether the minute before the first message is over by so much: it can be asked for."""
        return self.now_us > 0 and self.now_us - edge_us >= self._first_us // MINUTE_US * MINUTE_US

    def note(self, marks: Iterable[Mark], scanned: Collection[str], wall_us: int) -> Iterator[str]:
        """Note the marks of one message; yield a reason for each that is refused.

        Args:
            marks: The message.
            scanned: Assets whose marks are wanted.
            wall_us: The host's clock.
        """
        ours = [mark for mark in marks if mark.symbol in scanned]
        if not ours:
            return
        at_us = median_low(mark.event_ms for mark in ours) * 1000
        if at_us > wall_us + AHEAD_US:
            yield f"from_the_future: the message is of {(at_us - wall_us) / 1e6:.0f} s from now"
            return
        for mark in ours:
            why = self._note(mark, at_us)
            if why:
                yield why
        self.now_us = max(self.now_us, at_us)
        self._first_us = self._first_us or at_us

    def _note(self, mark: Mark, at_us: int) -> str:
        us, price = mark.event_ms * 1000, price_of(mark.price)
        if price is None:
            return f"bad_mark: {mark.symbol[:40]}: {mark.price[:40]!r} is no price"
        if abs(us - at_us) > APART_US:
            return f"bad_mark: {mark.symbol[:40]}: its clock is {(us - at_us) / 1e6:.0f} s off"
        before_us, before = self._last.get(mark.symbol, (0, 0.0))
        if us <= before_us:
            return ""
        minute = us // MINUTE_US
        if before_us // MINUTE_US == minute - 1 and minute * MINUTE_US - before_us <= CLOSING_US:
            self._window.add(mark.symbol, minute - 1, before)
        self._last[mark.symbol] = us, price
        return ""

    def prices(self, assets: Iterable[str]) -> list[float | None]:
        """Return the price of each asset now, None where there is no mark that is young."""
        known = (self._last.get(asset, (0, 0.0)) for asset in assets)
        return [price if self.now_us - us < HALTED_US else None for us, price in known]

    def quiet(self, assets: Iterable[str], for_us: int) -> list[str]:
        """Return the assets that have had no mark for so long."""
        return [a for a in assets if self.now_us - self._last.get(a, (0, 0.0))[0] >= for_us]


def price_of(text: str) -> float | None:
    """Return the price that a venue's text is, None if it is none: not decimal digits, or 0."""
    return float(text) or None if _PRICE.fullmatch(text) else None
