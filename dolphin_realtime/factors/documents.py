"""Factor documents: from `exf_latest` to what the signal's gates use.

Reading the factors that the signal weighs belongs here; the document itself belongs in
model/factors/document.py, files of readings in files.py. A malformed reading is left out.
"""

import math
from bisect import bisect_right
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec

from dolphin_realtime.books.documents import read_documents
from dolphin_realtime.model import instant
from dolphin_realtime.model.documents import finite
from dolphin_realtime.model.factors.document import DVOL_BTC, FUNDING
from dolphin_realtime.model.signal.gates import NO_FACTORS, Factors, Reading

LIFETIME_MAX_S: Final = 1e9


class _Weighed(msgspec.Struct):
    """The fields of a reading that the signal uses."""

    value: float
    fetch_time: datetime
    lifetime_s: Annotated[float, msgspec.Meta(ge=0.0)]
    percentile_90: float | None = None
    interval_h: float | None = None
    next_time: datetime | None = None


class _WeighedFactors(msgspec.Struct, frozen=True):
    """The factors that the signal weighs; the other readings are not decoded."""

    funding: dict[str, _Weighed] = {}
    dvol_btc: _Weighed | None = None


class _FactorsDocument(msgspec.Struct):
    readings: _WeighedFactors = _WeighedFactors()


_factors_decoder = msgspec.json.Decoder(_FactorsDocument)


def read_factor_document(text: str) -> Factors:
    """Return the factors of an `exf_latest` document that the signal weighs.

    Raises:
        ValueError: If the text is not a JSON object.
    """
    try:
        readings = _factors_decoder.decode(text).readings
    except (msgspec.ValidationError, UnicodeEncodeError):
        return factors_of(msgspec.json.decode(text, type=dict[str, Any]))
    usable = {asset: _usable(raw) for asset, raw in readings.funding.items()}
    return Factors(
        funding={asset: reading for asset, reading in usable.items() if reading is not None},
        dvol_btc=None if readings.dvol_btc is None else _usable(readings.dvol_btc),
    )


def _usable(raw: _Weighed) -> Reading | None:
    numbers = (raw.value, raw.lifetime_s, raw.percentile_90 or 0.0, raw.interval_h or 0.0)
    instants = (raw.fetch_time, raw.next_time or raw.fetch_time)
    if any(at.tzinfo is None for at in instants) or not all(math.isfinite(n) for n in numbers):
        return None
    return Reading(
        value=raw.value,
        fetch_us=instant.to_us(raw.fetch_time),
        lifetime_s=min(raw.lifetime_s, LIFETIME_MAX_S),
        percentile_90=raw.percentile_90,
        interval_h=raw.interval_h,
        next_us=None if raw.next_time is None else instant.to_us(raw.next_time),
    )


def _reading(raw: object) -> Reading | None:
    if not isinstance(raw, dict):
        return None
    known = {**raw, "percentile_90": finite(raw.get("percentile_90"))}
    known["interval_h"] = finite(raw.get("interval_h"))
    try:
        return _usable(msgspec.convert(known, _Weighed))
    except msgspec.ValidationError:
        return None


def factors_of(document: dict[str, Any]) -> Factors:
    """Return the factors of an `exf_latest` document that the signal weighs."""
    readings = document.get("readings")
    if not isinstance(readings, dict):
        return NO_FACTORS
    per_asset = readings.get(FUNDING)
    funding = {}
    for asset, raw in per_asset.items() if isinstance(per_asset, dict) else ():
        reading = _reading(raw)
        if reading is not None:
            funding[asset] = reading
    return Factors(funding=funding, dvol_btc=_reading(readings.get(DVOL_BTC)))


class FactorHistory:
    """Factor documents over time; each replaces the one before it."""

    def __init__(self, history: list[tuple[int, Factors]]) -> None:
        in_order = sorted(history, key=lambda pair: pair[0])
        self._history = [(t, msgspec.structs.replace(f, past=self)) for t, f in in_order]
        self._times = [t for t, _ in self._history]

    def __bool__(self) -> bool:
        """Return whether the history holds any document."""
        return bool(self._history)

    def at(self, now_us: int) -> Factors:
        """Return the newest document's factors as of ``now_us``."""
        n = bisect_right(self._times, now_us)
        return self._history[n - 1][1] if n else NO_FACTORS

    def funding_before(self, asset: str, at_us: int) -> Reading | None:
        """Return the newest funding reading of an asset that was fetched before an instant."""
        n = bisect_right(self._times, at_us - 1)
        reading = self._history[n - 1][1].funding.get(asset) if n else None
        return reading if reading is not None and reading.fetch_us < at_us else None


def read_factor_documents(path: Path) -> FactorHistory:
    """Return the history in a file of `exf_latest` documents, one a line.

    Raises:
        SettingsError: If the file cannot be read.
    """
    history = []
    for document in read_documents(path):
        factors = factors_of(document)
        readings = [*factors.funding.values(), *filter(None, [factors.dvol_btc])]
        if readings:
            history.append((max(r.fetch_us for r in readings), factors))
    return FactorHistory(history)
