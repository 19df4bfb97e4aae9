"""Rows of what a real venue says: numbered in the order in which it was booked.

The journal is thereby the ordered list of a live trader's inputs: of two rows with the same
``booked_us`` the one with the smaller ``seq`` came first. Rows of a scan are in rows.py.
"""

import zlib
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from dolphin_realtime.journal.live_tables import IncomeRow, InputRow, ShadowFillRow
from dolphin_realtime.journal.rows import Rows
from dolphin_realtime.journal.tables import FillRow, FundingRow
from dolphin_realtime.model.instant import to_us
from dolphin_realtime.model.orders import AtVenue, Ended, InFlight, Traded, Unknown
from dolphin_realtime.model.portfolio.fill_rule import Execution, Quote
from dolphin_realtime.model.portfolio.venue_account import Outside, Paid
from dolphin_realtime.model.signal.gates import Book, Factors, Reading


class KnownFactors(msgspec.Struct, frozen=True):
    """The factors of a scan as they are journalled."""

    funding: dict[str, Reading]
    dvol_btc: Reading | None


def pack_inputs(books: dict[str, Book], factors: Factors | None) -> tuple[bytes, bytes]:
    """Return books and factors as they are journalled."""
    known = None if factors is None else KnownFactors(dict(factors.funding), factors.dvol_btc)
    return tuple(zlib.compress(msgspec.msgpack.encode(one), 1) for one in (books, known))  # type: ignore[return-value]


def unpack_inputs(books: bytes, factors: bytes) -> tuple[dict[str, Book], Factors | None]:
    """Return books and factors from what was journalled."""
    held = msgspec.msgpack.decode(zlib.decompress(books), type=dict[str, Book])
    known = msgspec.msgpack.decode(zlib.decompress(factors), type=KnownFactors | None)
    return held, None if known is None else Factors(funding=known.funding, dvol_btc=known.dvol_btc)


LIMITS: Final = "limits "
"""Begin of the name of a fact: the pre-trade limits in force after the scan whose instant follows."""
APART: Final = "node_differences"
"""Name of a fact: trades that only one of NautilusTrader and the reader had in time, since a start."""
FOUND: Final = "FOUND: the venue has it"
"""Reason of the row with which an unknown order is known again."""
VENUE: Final = "venue"
"""Source of a fill that is the venue's."""


class VenueRows:
    """Adds the rows of venue events to the rows of the last scan.

    Attributes:
        seq: Number of the last row.
    """

    def __init__(self, rows: Rows) -> None:
        self._rows, self.seq = rows, 0
        self._last: tuple[bytes, bytes] | None = None

    def traded(self, order: InFlight, fill: Traded, mid: float, realised: float) -> None:
        """Add a fill of an order of ours."""
        quote = Quote(
            asset=order.order.asset, mid=mid, bid=fill.price, ask=fill.price,
            at_us=self._rows.now_us, source=VENUE,
        )  # fmt: skip
        row = self._rows.fill(order, fill, quote, realised)
        self._rows.add("fills", row._replace(**self._of(fill.venue)))

    def outside(self, trade: Outside, mid: float, realised: float) -> None:
        """Add a trade that no order of ours explains."""
        row = FillRow(
            fill_id=trade.fill_id, client_order_id="", epoch=0, scan_number=0,
            timestamp_us=self._rows.now_us, asset=trade.asset, side=trade.side,
            quantity=trade.quantity, price=trade.price, mid=mid, fee=trade.fee, realised=realised,
            source=f"OUTSIDE {trade.cause}: {trade.client_id}", booked_us=self._rows.now_us,
            size_digits=self._rows.portfolio.digits(trade.asset),
        )  # fmt: skip
        self._rows.add("fills", row._replace(**self._of(trade.venue)))

    def event(self, order: InFlight, event: Ended | Unknown) -> None:
        """Add an order's end or UNKNOWN state."""
        row = self._rows.order_event(order, event)
        heard_us = to_us(datetime.now(UTC))
        self._rows.add("order_events", row._replace(seq=self._next(), heard_us=heard_us))

    def paid(self, paid: Paid, quantity: float) -> None:
        """Add a payment; funding is a row of the account as well, as on paper."""
        now_us = self._rows.now_us
        self._rows.add("income", IncomeRow(
            paid.kind, paid.tran_id, paid.symbol, paid.asset, paid.amount, paid.at_us, now_us,
            self._next(),
        ))  # fmt: skip
        if paid.is_funding:
            self._rows.add("funding", FundingRow(
                paid.at_us, paid.symbol, quantity, None, -paid.amount, now_us
            ))  # fmt: skip

    def inputs(self, at_us: int, books: dict[str, Book], factors: Factors | None) -> None:
        """Add what a scan is decided with; what did not change is not written again."""
        now = pack_inputs(books, factors)
        last, self._last = self._last or (b"", b""), now
        changed = [new if new != old else None for new, old in zip(now, last, strict=True)]
        self._rows.add("inputs", InputRow(at_us, *changed))

    def shadow(self, execution: Execution, decided: float, fee: float) -> None:
        """Add the fill that the model gives an order, decided at a scan's price."""
        order, quote = execution.order, execution.quote
        self._rows.add("shadow_fills", ShadowFillRow(
            client_order_id=order.client_order_id, asset=quote.asset, side=order.order.side,
            quantity=order.order.quantity, decided=decided,
            price=quote.ask if order.order.side == "BUY" else quote.bid, mid=quote.mid, fee=fee,
            timestamp_us=quote.at_us, source=quote.source, booked_us=self._rows.now_us,
        ))  # fmt: skip

    def _next(self) -> int:
        self.seq += 1
        return self.seq

    def _of(self, venue: AtVenue | None) -> dict[str, Any]:
        if venue is None:
            raise AssertionError("a fill at a real venue says what the venue says")
        return {
            "seq": self._next(), "venue_us": venue.at_us, "venue_order_id": venue.order_id,
            "venue_realised": venue.realised, "fee_asset": venue.fee_asset,
            "fee_paid": venue.fee_paid,
        }  # fmt: skip
