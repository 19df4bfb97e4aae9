"""Why a paper day and its backtest differ, decision by decision. Pure.

The rules that explain a difference belong here, each with one cause. A difference that no rule
explains is unexplained, and counts as a fault of Dolphin until shown otherwise. Signals are
compared first: score, direction and scalers depend on prices alone and must agree, so a gate can
only explain a difference between score and signal. After a scan that one side did not see, scores
may differ a little. Positions, sizes and equity must agree until a recorded cause has made the two
portfolios differ; after that they may differ too.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Final

import msgspec

from dolphin_realtime.backtest.handled import Decided, Filled, Handled
from dolphin_realtime.model.portfolio.account import TOLERANCE_USD
from dolphin_realtime.reports.versus import Difference

MISSED: Final = "missed scan"
NOT_ARCHIVED: Final = "scan not archived"
RESTART: Final = "restart or catch-up"
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
        "GRID_DIVIDED",
    }
)
"""Reasons that depend on wall time or the machine; they do not occur in a backtest."""
FEE_SHARE: Final = 1e-6
SCORE_APART: Final = 0.5
"""How far scores may differ after a scan that one side did not see."""
PRICE_APART: Final = 0.05
"""How far a fill from a book may be from the backtest's fill price, as a fraction."""


class Differences(msgspec.Struct, kw_only=True):
    """What is the same and what differs between two runs of a day."""

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
        backtest: The same day from the same opening state, filled without book levels.
        has_gate_inputs: Whether there are recorded books or factors; books are recorded only
            every few seconds, so that gates may differ.
    """
    judge = _Judge(has_gate_inputs)
    for at_us in sorted(paper.keys() | backtest.keys()):
        judge.take(at_us, paper.get(at_us), backtest.get(at_us))
    return judge.result


class _Judge:
    """Compares a day scan by scan; remembers whether a cause has made the two differ so far."""

    def __init__(self, has_gate_inputs: bool) -> None:
        self.result = Differences()
        self._has_gate_inputs = has_gate_inputs
        self._is_blind = False
        self._is_apart = False
        self._is_equity_said = False

    def take(self, at_us: int, paper: Handled | None, backtest: Handled | None) -> None:
        """Compare one instant: decisions, then the orders that ended, then equity."""
        self.result.scans += 1
        if paper is None or backtest is None:
            self._is_blind = self._is_apart = True
            why = MISSED if paper is None else NOT_ARCHIVED
            self._note(at_us, "", "scan", _there(paper), _there(backtest), why)
            return
        for asset in sorted(paper.decisions.keys() | backtest.decisions.keys()):
            p, b = (side.decisions.get(asset, Decided()) for side in (paper, backtest))
            if p.matters or b.matters:
                self._decision(at_us, asset, p, b, paper, backtest)
        for fill_p, fill_b in _pairs(paper.ended, backtest.ended):
            self._fill(at_us, fill_p, fill_b)
        if abs(paper.equity - backtest.equity) <= TOLERANCE_USD or self._is_apart:
            return
        if not self._is_equity_said:
            self._is_equity_said = True
            self._note(at_us, "", "equity", repr(paper.equity), repr(backtest.equity), None)

    def _decision(
        self, at_us: int, asset: str, p: Decided, b: Decided, paper: Handled, backtest: Handled
    ) -> None:
        if (p.signal, p.orders, p.reason, p.held) == (b.signal, b.orders, b.reason, b.held):
            self.result.same += 1
            return
        cause = self._cause(p, b, paper, backtest)
        self._is_apart = self._is_apart or cause is not None
        self._note(at_us, asset, "decision", _decision(p), _decision(b), cause)

    def _cause(self, p: Decided, b: Decided, paper: Handled, backtest: Handled) -> str | None:
        if not paper.is_acted_on or p.reason == "RECOVERED":
            return RESTART
        if p.reason == "FLATTEN":
            return OPERATOR
        if p.signal != b.signal:
            why = self._signal_cause(p, b, paper.scalers == backtest.scalers)
            if why is None or (p.orders == b.orders and p.held == b.held):
                return why
            if paper.posture == backtest.posture and p.reason not in BLOCK_REASONS:
                return why
        if p.reason in BLOCK_REASONS:
            return BLOCKED
        if paper.posture != backtest.posture or p.reason.startswith("POSTURE_"):
            return POSTURE
        return CARRIED if self._is_apart else None

    def _signal_cause(self, p: Decided, b: Decided, are_scalers_same: bool) -> str | None:
        """Return why two signals differ; if the scores agree, only gates can be the cause."""
        scores = [d.score for d in (p, b) if d.score is not None]
        if self._is_blind:
            is_near = max(scores, default=0.0) - min(scores, default=0.0) <= SCORE_APART
            return MISSED if is_near else None
        is_same_score = len(set(scores)) <= 1 and p.direction == b.direction
        return GATE if self._has_gate_inputs and is_same_score and are_scalers_same else None

    def _fill(self, at_us: int, p: Filled | None, b: Filled | None) -> None:
        one = p or b
        if one is None:
            return
        is_fee_same = p is None or b is None or abs(p.fee_share - b.fee_share) <= FEE_SHARE
        is_same = p is not None and b is not None and (p.price, p.quantity) == (b.price, b.quantity)
        if is_same and is_fee_same:
            self.result.same += 1
            return
        cause = self._fill_cause(p, b) if is_fee_same else None
        self._is_apart = self._is_apart or cause is not None
        self._note(at_us, one.key[1], "fill", _fill_text(p), _fill_text(b), cause)

    def _fill_cause(self, p: Filled | None, b: Filled | None) -> str | None:
        if p is not None and p.price is None and p.source.startswith(("HALTED", "FLATTEN")):
            return POSTURE
        if p is not None and p.price is not None and "book" in p.source:
            is_same_size = b is None or p.quantity == b.quantity or self._is_apart
            near = b is None or b.price is None or abs(p.price / b.price - 1.0) <= PRICE_APART
            return BOOK if is_same_size and near else None
        return CARRIED if self._is_apart else None

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
