"""What services publish about themselves in the grid: a trader's STATE and PNL, every HEARTBEAT.

The documents' fields and what can be computed from them alone belong here; map names are in grid/.
Amounts are USDT, quantities signed units of the base, ages seconds. The posture document is in
risk/posture.py, the health document in health/scores.py, scans are in market/scan.py.
"""

import math
from datetime import datetime
from typing import Annotated

import msgspec

from dolphin_realtime.model.freshness import STALLED_S
from dolphin_realtime.model.instant import Aware
from dolphin_realtime.model.risk.posture import Posture

Fraction = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]


def finite(value: object) -> float | None:
    """Return a wire value as a finite number, None where it is not a finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if math.isfinite(found) else None


class HeldPosition(msgspec.Struct, kw_only=True):
    """One position; ``price`` is the one it is marked at."""

    asset: str
    quantity: float
    average_price: float
    price: float | None = None


class UnpricedPosition(msgspec.Struct, kw_only=True):
    """A held asset without a sound price: why, since when, for how many scans.

    Attributes:
        price: The last sound price, at which the position is marked.
        waits_at: A doubtful price that waits for confirmation.
    """

    asset: str
    reason: str
    since: Aware
    scans: int
    age_s: float = 0.0
    price: float | None = None
    waits_at: float | None = None


class EntryBlock(msgspec.Struct, kw_only=True):
    """The trader's own reason to open nothing, and since when it holds."""

    reason: str
    since: Aware


class JournalState(msgspec.Struct, kw_only=True):
    """Records on disk, the last write error, and the entry block that follows from it."""

    committed: int = 0
    fault: str | None = None
    trouble: str | None = None


class Untradable(msgspec.Struct, kw_only=True):
    """How many assets of the last scan cannot be opened, in total and by reason."""

    names: int = 0
    of: int = 0
    reasons: dict[str, int] = {}


class LastSignal(msgspec.Struct, kw_only=True):
    """The last signal in short; ``missing`` counts absent gate inputs by gate."""

    timestamp_us: int
    r_ar: float
    r_vol: float
    risk_scaler: float
    flags: list[str]
    missing: dict[str, int]
    n_signals: int


class VenueFinding(msgspec.Struct, kw_only=True):
    """What a real venue's state calls for; without a posture it blocks entries alone."""

    code: str
    posture: Posture | None = None
    why: str


class LiveState(msgspec.Struct, kw_only=True):
    """What a live trader knows of its venue and its account.

    Attributes:
        account: Last characters of the trading key.
        simulated: How the venue is simulated; None for a real one.
        stream: Why the reader's stream is not whole, None while it is.
        unknown: Orders of which it is not known whether they are at the venue.
        outside: Trades from outside that nobody has adopted.
        compared_at: When ledger and venue were last compared; None before the first time.
        node_apart: Names in which NautilusTrader's own position is another one.
        node_differences: Trades that only one of NautilusTrader and the reader had in time.
        margin: Maintenance margin over margin balance.
        weight: Request weight used in this minute.
    """

    venue: str
    account: str
    simulated: str | None = None
    stream: str | None = None
    unknown: int = 0
    outside: int = 0
    compared_at: Aware | None = None
    node_apart: list[str] = []
    node_differences: int = 0
    wallet_apart: float = 0.0
    margin: float = 0.0
    weight: int = 0
    max_gross_usd: float = 0.0
    findings: list[VenueFinding] = []


class StateDocument(msgspec.Struct, kw_only=True):
    """DOLPHIN_STATE_<INSTANCE>["latest_nautilus"]: what a trader holds, and its condition.

    Attributes:
        entry_block: The trader's own reason to open nothing, apart from the posture.
        account: The journal's life: another one is another account.
        transfers: Money moved in so far (out: negative), at a real venue.
        in_flight: Number of orders without an outcome.
        peak_equity: Highest equity since the last resume; drawdown and day_loss are fractions.
        rejected_of_last_10: Rejected orders among the last ten that filled or were rejected.
        flattened_id: Id of the last flatten that was carried out.
        reasons: Decisions of the last scan, counted by reason.
        refused: Orders refused by a limit so far, by code.
        gap_share: Share of all scans that followed a gap.
        mismatch: How portfolio and engine disagree, or None.
        handled_at: When the last scan was handled, wall time.
        latency_us: Percentiles of the time from callback to last order.
        since: UTC day, in market time, that the figures of PNL cover.
        live: What a live trader knows of its venue; None on paper.
    """

    updated_at: Aware
    mode: str = "paper"
    scan_number: int = 0
    epoch: int = 0
    posture: str | None = None
    trading_state: str = ""
    entry_block: EntryBlock | None = None
    positions: list[HeldPosition]
    unpriced: list[UnpricedPosition] = []
    untradable: Untradable = msgspec.field(default_factory=Untradable)
    in_flight: int = 0
    cash: float
    account: str = ""
    transfers: float = 0.0
    fees: float = 0.0
    equity: float
    last_signal: LastSignal | None = None
    peak_equity: float
    drawdown: float = 0.0
    day_loss: float
    is_shocked: bool = False
    rejected_of_last_10: int = 0
    flattened_id: str | None = None
    reasons: dict[str, int] = {}
    refused: dict[str, int] = {}
    gap_share: float = 0.0
    journal: JournalState
    mismatch: str | None = None
    handled_at: Aware
    scans: int = 0
    fills: int = 0
    latency_us: dict[str, float] = {}
    since: str | None = None
    live: LiveState | None = None

    def is_stalled(self, bridged_at: datetime | None) -> bool:
        """Return whether no scan was handled for STALLED_S before the newest one was bridged."""
        if bridged_at is None:
            return False
        return (bridged_at - self.handled_at).total_seconds() > STALLED_S


class PnlDocument(msgspec.Struct, kw_only=True):
    """DOLPHIN_PNL_<INSTANCE>[day]: profit of one UTC day of market time, and its fills."""

    realised: float
    unrealised: float
    fees: float
    funding: float
    equity: float
    trades: Annotated[int, msgspec.Meta(ge=0)]
    max_drawdown: Fraction
    updated_at: Aware


class Refusal(msgspec.Struct, kw_only=True):
    """The refusals of one kind by a service: how many, and the reason of the last one."""

    n: int
    why: str = ""


class Heartbeat(msgspec.Struct, kw_only=True):
    """DOLPHIN_HEARTBEAT[service]: the service is alive, and its phase ("ready" when all is well).

    Attributes:
        detail: One line for `dolphin status`.
        refused: Number of items refused or lost since the start, by reason.
        refused_since: Refusals since the last good scan, by reason.
    """

    ts: Aware
    pid: int | None = None
    phase: str = ""
    detail: str = ""
    refused: dict[str, int] = {}
    refused_since: dict[str, Refusal] = {}


def refusals(beat: Heartbeat | None) -> str:
    """Return what a service refused since its last good scan, in words; empty if nothing."""
    parts = [
        f"{one.n} {reason}" + (f" ({one.why})" if one.why else "")
        for reason, one in (beat.refused_since if beat else {}).items()
    ]
    return ", ".join(parts)
