"""A scan's signal in progress: first the arrays for sizing, afterwards the complete record.

The arrays that sizing needs, and building the record from them, belong here; they are computed
in state.py.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from dolphin_realtime.model.market.scan import Scan
from dolphin_realtime.model.market.sound_prices import Verdict
from dolphin_realtime.model.signal.asset_states import Ready
from dolphin_realtime.model.signal.gate_values import GateValues
from dolphin_realtime.model.signal.gates import calendar_gate
from dolphin_realtime.model.signal.result import REASONS, Signal
from dolphin_realtime.model.signal.slots import Floats, Ints, Slots

NOTHING: Final = np.zeros(0)


class PendingUpdate(msgspec.Struct, frozen=True):
    """Returns of one scan that are not yet in the state's averages."""

    slots: Slots
    r: Floats
    r_m: float
    dt_s: float
    gains: Floats


class SignalInProgress(msgspec.Struct, kw_only=True):
    """A scan's signals as arrays over its soundly priced assets: all that sizing needs.

    Attributes:
        failed: The check that the scan failed, or None; if it failed, the arrays are empty.
        position: Index of each name.
        is_closing: Whether a zero or reversed signal of the asset closes its position.
        verdict: Which listed assets have a sound price; None if all have.
        record: The complete signal, once the scan has ended.
        reasons: The record's reasons by asset, built on first use.
    """

    scan: Scan
    epoch: int
    failed: str | None = None
    flags: set[str] = set()
    names: list[str] = []
    position: Mapping[str, int] = {}
    prices: Floats = NOTHING
    signal: Floats = NOTHING
    direction: Floats = NOTHING
    s: Floats = NOTHING
    is_closing: NDArray[np.bool_] = NOTHING.astype(np.bool_)
    verdict: Verdict | None = None
    ready: Ready | None = None
    gates: GateValues | None = None
    r_ar: float = 0.0
    r_vol: float = 0.0
    rho: float = 0.0
    share: float = 0.0
    moved: PendingUpdate | None = None
    record: Signal | None = None
    reasons: dict[str, str] = {}

    def reason(self, asset: str) -> str:
        """Return an asset's reason; before the scan has ended, only for a priced asset."""
        if self.record is not None:
            if not self.reasons:
                self.reasons = dict(zip(self.record.assets, self.record.reason, strict=True))
            return self.reasons.get(asset, "ABSENT")
        if self.direction[self.position[asset]] == 0.0:
            return "NO_DIRECTION"
        return "OK" if self.r_ar * self.r_vol else "RISK_SCALER"


def failed_signal(scan: Scan, epoch: int, reason: str) -> Signal:
    """Return the signal of a scan that failed a check: zeros, and the reason."""
    zeros, ones = [0.0] * len(scan.assets), [1.0] * len(scan.assets)
    return Signal(
        epoch=epoch,
        scan_number=scan.scan_number,
        timestamp_us=scan.timestamp_us,
        assets=scan.assets,
        s_score=zeros,
        direction=[0] * len(scan.assets),
        r_ar=0.0,
        r_vol=0.0,
        gate_book=ones,
        gate_funding=ones,
        gate_dvol=1.0,
        gate_calendar=calendar_gate(scan.timestamp_us),
        risk_scaler=0.0,
        signal=zeros,
        reason=[reason] * len(scan.assets),
        flags=(),
        missing={},
    )


def record_of(draft: SignalInProgress, ready: Ready, gates: GateValues) -> Signal:
    """Return the complete signal of an accepted scan, in the scan's asset order."""
    rows = _Rows(draft.verdict, len(draft.scan.assets))
    codes = _reason_codes(ready.warm, draft.direction, gates, draft.r_ar * draft.r_vol)
    return Signal(
        epoch=draft.epoch,
        scan_number=draft.scan.scan_number,
        timestamp_us=draft.scan.timestamp_us,
        assets=draft.scan.assets,
        s_score=rows.floats(draft.s, 0.0),
        direction=rows.ints(draft.direction.astype(np.int64), 0),
        r_ar=draft.r_ar,
        r_vol=draft.r_vol,
        gate_book=rows.floats(gates.book * gates.spread, 1.0),
        gate_funding=rows.floats(gates.funding, 1.0),
        gate_dvol=gates.dvol,
        gate_calendar=gates.calendar,
        risk_scaler=draft.r_ar * draft.r_vol * gates.dvol * gates.calendar,
        signal=rows.floats(draft.signal, 0.0),
        reason=[REASONS[c] for c in rows.ints(codes, _absent_codes(draft.verdict))],
        flags=tuple(sorted(draft.flags)),
        missing=gates.missing,
        mean_correlation=draft.rho,
        market_share=draft.share,
    )


class _Rows:
    """Expands values of the soundly priced assets to all listed assets."""

    def __init__(self, verdict: Verdict | None, n_assets: int) -> None:
        self._at = None if verdict is None else np.flatnonzero(verdict.sound)
        self._n = n_assets

    def floats(self, values: Floats, absent: float) -> list[float]:
        return self._spread(values, absent, np.float64)

    def ints(self, values: Ints, absent: int | Ints) -> list[int]:
        return self._spread(values, absent, np.int64)

    def _spread[T](self, values: NDArray[np.generic], absent: T | Ints, kind: type) -> list[T]:
        out: NDArray[Any] = values
        if self._at is not None:
            out = np.full(self._n, absent, dtype=kind)
            out[self._at] = values
        listed: list[T] = out.tolist()
        return listed


def _absent_codes(verdict: Verdict | None) -> Ints | int:
    """Return the reason code of each listed asset for the case that it has no sound price."""
    bad = REASONS.index("BAD_PRICE")
    if verdict is None:
        return bad
    codes = np.full(len(verdict.sound), bad, dtype=np.int64)
    codes[verdict.doubtful] = REASONS.index("DOUBTFUL_PRICE")
    codes[verdict.still] = REASONS.index("STILL_PRICE")
    return codes


def _reason_codes(
    warm: NDArray[np.bool_], direction: Floats, gates: GateValues, scaler: float
) -> Ints:
    codes = np.zeros(len(warm), dtype=np.int64)
    if scaler == 0.0:
        codes[:] = REASONS.index("RISK_SCALER")
    if gates.calendar == 0.0:
        codes[:] = REASONS.index("GATE_CALENDAR")
    codes[gates.funding == 0.0] = REASONS.index("GATE_FUNDING")
    codes[gates.book == 0.0] = REASONS.index("GATE_BOOK")
    codes[gates.spread == 0.0] = REASONS.index("GATE_SPREAD")
    codes[direction == 0] = REASONS.index("NO_DIRECTION")
    codes[~warm] = REASONS.index("WARMING_UP")
    return codes
