"""All gates of one scan at once, as arrays over its priced assets.

Finding which inputs are missing or stale belongs here; the formula of each gate is in gates.py,
the use of the product in state.py.
"""

from collections.abc import Mapping

import msgspec
import numpy as np

from dolphin_realtime.model.signal.asset_states import AssetStates
from dolphin_realtime.model.signal.ewma import weight
from dolphin_realtime.model.signal.gates import (
    Book,
    Factors,
    book_gate,
    calendar_gate,
    dvol_gate,
    funding_gate,
    is_book_stale,
)
from dolphin_realtime.model.signal.slots import Floats, Slots


class GateValues(msgspec.Struct):
    """Gate values of the priced assets of one scan, in scan order."""

    book: Floats
    spread: Floats
    funding: Floats
    dvol: float
    calendar: float
    missing: dict[str, int]
    has_books: bool = False
    has_funding: bool = False

    def of_assets(self) -> Floats | None:
        """Return the product of the gates that differ by asset, None if they have no input."""
        if not (self.has_books or self.has_funding):
            return None
        return self.book * self.spread * self.funding


def gate_values(
    states: AssetStates,
    names: list[str],
    slots: Slots,
    now_us: int,
    dt_s: float,
    tau_l_s: float,
    book: Mapping[str, Book] | None,
    factors: Factors,
) -> GateValues:
    """Return every gate of one scan's priced assets; fresh books feed the usual spread.

    Args:
        states: Directions and usual spreads of the assets.
        names: The priced assets, in scan order.
        slots: Their slots in ``states``.
        now_us: The scan's instant.
        dt_s: Time since the last accepted scan, 0 for the first.
        tau_l_s: Time constant of the usual spread.
        book: The assets' order books, None without an order-book service.
        factors: External factors.
    """
    ones = np.ones(len(names))
    gates = GateValues(ones, ones, ones, dvol_gate(factors.dvol_btc, now_us), 1.0, {})
    gates.calendar = calendar_gate(now_us)
    dvol = factors.dvol_btc
    if dvol is None or dvol.percentile_90 is None or not dvol.is_current(now_us):
        gates.missing["dvol"] = 1
    directions = states.direction[slots]
    if book:
        gates.has_books = True
        gates.book, gates.spread = ones.copy(), ones.copy()
        _book_gates(states, names, slots, now_us, dt_s, tau_l_s, book, gates)
    else:
        gates.missing["book"] = len(names)
    if not factors.funding:
        gates.missing["funding"] = len(names)
        return gates
    gates.has_funding = True
    gates.funding = ones.copy()
    for i, name in enumerate(names):
        rate = factors.funding.get(name)
        if rate is None or not rate.is_current(now_us):
            gates.missing["funding"] = gates.missing.get("funding", 0) + 1
        elif directions[i]:
            gates.funding[i] = funding_gate(int(directions[i]), rate.value, rate.interval_h)
    return gates


def _book_gates(
    states: AssetStates,
    names: list[str],
    slots: Slots,
    now_us: int,
    dt_s: float,
    tau_l_s: float,
    books: Mapping[str, Book],
    gates: GateValues,
) -> None:
    a = weight(dt_s, tau_l_s) if dt_s else 0.0
    at = range(len(names)) if isinstance(slots, slice) else slots.tolist()
    for i, name in enumerate(names):
        one = books.get(name)
        if one is None or is_book_stale(one.event_us, now_us, dt_s):
            gates.missing["book"] = gates.missing.get("book", 0) + 1
            continue
        slot = at[i]
        gates.book[i] = book_gate(int(states.direction[slot]), one.imbalance_5)
        if one.spread_bps <= 0.0:
            gates.missing["spread"] = gates.missing.get("spread", 0) + 1
            continue
        if not states.take_spread(slot, one.spread_bps, a):
            gates.spread[i] = 0.0
