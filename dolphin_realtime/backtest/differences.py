"""Why a paper day and its backtest differ, decision by decision. Pure.

The rules that explain a difference belong here, each naming one cause; whatever no rule
explains is unexplained, and a fault of Dolphin's until shown otherwise. Once something on
record has made the books differ, sizes differ after it: but a signal never may, save by a
gate or a scan that one of the two did not see.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Final

import msgspec

from dolphin_realtime.backtest.handled import Decided, Filled, Handled

MISSED: Final = "missed scan"
NOT_ARCHIVED: Final = "scan not archived"
RESTART: Final = "restart"
POSTURE: Final = "posture"
BLOCKED: Final = "stale scan, clock or journal"
GATE: Final = "book or factor at a gate"
BOOK: Final = "book against scan price"
OPERATOR: Final = "flatten"
CARRIED: Final = "carried on from an earlier difference"
BLOCK_REASONS: Final = frozenset(
    {
        "STALE_SCAN",
        "CLOCK_SKEW",
        "JOURNAL_FAILED",
        "JOURNAL_FULL",
        "JOURNAL_BEHIND",
        "RECONCILIATION",
    }
)
"""Reasons of wall time or of the machine: a backtest has none of them."""
SAME: Final = 1e-9


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One difference; ``cause`` is None where nothing on record explains it."""

    timestamp_us: int
    asset: str
    what: str
    paper: str
    backtest: str
    cause: str | None


class Differences(msgspec.Struct, kw_only=True):
    """What two runs of a day have in common and what not."""

    scans: int = 0
    same: int = 0
    found: list[Difference] = []

    @property
    def by_cause(self) -> dict[str, int]:
        """Explained differences by cause."""
        return dict(Counter(d.cause for d in self.found if d.cause is not None).most_common())

    @property
    def unexplained(self) -> list[Difference]:
        """Differences without a cause."""
        return [d for d in self.found if d.cause is None]


def compare_days(
    paper: dict[int, Handled], backtest: dict[int, Handled], *, has_gate_inputs: bool
) -> Differences:
    """Return the differences of a day.

    Args:
        paper: Scans as the trader handled them.
        backtest: The same day from the same opening, by the fill rule without levels.
        has_gate_inputs: Whether the trader had books or factors, whose values at an instant
            are on record only every few seconds.
    """
    judge = _Judge(has_gate_inputs)
    for at_us in sorted(paper.keys() | backtest.keys()):
        judge.take(at_us, paper.get(at_us), backtest.get(at_us))
    return judge.result


class _Judge:
    """Goes through a day; remembers what has made the two differ so far."""

    def __init__(self, has_gate_inputs: bool) -> None:
        self.result = Differences()
        self._has_gate_inputs = has_gate_inputs
        self._is_blind = False
        self._is_apart = False

    def take(self, at_us: int, paper: Handled | None, backtest: Handled | None) -> None:
        """Take one instant."""
        self.result.scans += 1
        if paper is None or backtest is None:
            self._is_blind = self._is_apart = True
            why = MISSED if paper is None else NOT_ARCHIVED
            self._note(at_us, "", "scan", _there(paper), _there(backtest), why)
            return
        for asset in sorted(paper.decisions.keys() | backtest.decisions.keys()):
            p, b = (side.decisions.get(asset, Decided()) for side in (paper, backtest))
            if not (p.matters or b.matters):
                continue
            if (p.signal, p.orders, p.reason) == (b.signal, b.orders, b.reason):
                self.result.same += 1
                continue
            cause = self._cause(p, b, paper, backtest)
            self._is_apart = self._is_apart or cause is not None
            self._note(at_us, asset, "decision", _decision(p), _decision(b), cause)
        for fill_p, fill_b in _pairs(paper.ended, backtest.ended):
            self._fill(at_us, fill_p, fill_b)

    def _cause(self, p: Decided, b: Decided, paper: Handled, backtest: Handled) -> str | None:
        if not paper.is_acted_on or p.reason == "RECOVERED":
            return RESTART
        if p.reason == "FLATTEN":
            return OPERATOR
        if p.reason in BLOCK_REASONS:
            return BLOCKED
        if paper.posture != backtest.posture or p.reason.startswith("POSTURE_"):
            return POSTURE
        if p.signal != b.signal:
            if self._is_blind:
                return MISSED
            return GATE if self._has_gate_inputs and p.signal * b.signal >= 0.0 else None
        return CARRIED if self._is_apart else None

    def _fill(self, at_us: int, p: Filled | None, b: Filled | None) -> None:
        if p is not None and b is not None and (p.price, p.quantity) == (b.price, b.quantity):
            self.result.same += 1
            return
        one = p or b
        if one is None:
            return
        cause = None
        if p is not None and p.price is None:
            cause = POSTURE if p.source.startswith(("HALTED", "FLATTEN")) else None
        elif p is not None and "book" in p.source:
            cause = BOOK
        if cause is None and self._is_apart:
            cause = CARRIED
        self._is_apart = self._is_apart or cause is not None
        self._note(at_us, one.key[1], "fill", _fill_text(p), _fill_text(b), cause)

    def _note(
        self, at_us: int, asset: str, what: str, paper: str, backtest: str, cause: str | None
    ) -> None:
        self.result.found.append(
            Difference(
                timestamp_us=at_us,
                asset=asset,
                what=what,
                paper=paper,
                backtest=backtest,
                cause=cause,
            )
        )


def _pairs(
    paper: list[Filled], backtest: list[Filled]
) -> Iterator[tuple[Filled | None, Filled | None]]:
    ours, theirs = ({f.key: f for f in side} for side in (paper, backtest))
    for key in sorted(ours.keys() | theirs.keys()):
        yield ours.get(key), theirs.get(key)


def _there(handled: Handled | None) -> str:
    return "not handled" if handled is None else "handled"


def _decision(d: Decided) -> str:
    orders = " ".join(f"{side} {quantity!r}" for side, quantity in d.orders) or "no order"
    return f"{orders}; {d.reason or 'no row'}; signal {d.signal!r}, held {d.held!r}"


def _fill_text(f: Filled | None) -> str:
    if f is None:
        return "no fill"
    price = "cancelled" if f.price is None else f"at {f.price!r}"
    return f"{f.quantity!r} {price} ({f.source})"
