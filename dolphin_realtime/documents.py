"""Reading the documents that others write for the signal: order books and factors.

Turning `ob_features_latest` and `exf_latest` into what the gates take belongs here; what a
gate does with them does not (model/gates.py). A part that is malformed is left out.
"""

import math
from bisect import bisect_right
from pathlib import Path
from typing import Any, Final

import msgspec

from dolphin_realtime.model import instant
from dolphin_realtime.model.errors import SettingsError
from dolphin_realtime.model.gates import NO_FACTORS, Book, Factors, Reading

FUNDING: Final = "funding"
DVOL_BTC: Final = "dvol_btc"


def _instant_us(value: object) -> int | None:
    moment = instant.parse(value)
    return None if moment is None else instant.to_us(moment)


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def books_of(document: dict[str, Any]) -> dict[str, Book]:
    """Return the usable books of an `ob_features_latest` document, by asset."""
    books = {}
    assets = document.get("assets")
    for asset, features in assets.items() if isinstance(assets, dict) else ():
        if not isinstance(features, dict):
            continue
        event_us = _instant_us(features.get("event_time"))
        imbalance = _number(features.get("imbalance_5"))
        spread = _number(features.get("spread_bps"))
        if event_us is None or imbalance is None or spread is None:
            continue
        if -1.0 <= imbalance <= 1.0:
            books[asset] = Book(event_us=event_us, imbalance_5=imbalance, spread_bps=spread)
    return books


def _reading(raw: object) -> Reading | None:
    if not isinstance(raw, dict):
        return None
    value, lifetime = _number(raw.get("value")), _number(raw.get("lifetime_s"))
    fetch_us = _instant_us(raw.get("fetch_time"))
    if value is None or lifetime is None or fetch_us is None or lifetime < 0.0:
        return None
    return Reading(
        value=value,
        fetch_us=fetch_us,
        lifetime_s=lifetime,
        percentile_90=_number(raw.get("percentile_90")),
        interval_h=_number(raw.get("interval_h")),
    )


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


def _read_documents(path: Path | None) -> list[dict[str, Any]]:
    if path is None:
        return []
    try:
        lines = path.read_bytes().splitlines()
        return [msgspec.json.decode(line, type=dict[str, Any]) for line in lines if line.strip()]
    except (OSError, msgspec.DecodeError) as e:
        raise SettingsError(f"{path}: {e}; expected one JSON document a line") from e


class BookHistory:
    """Books over time: at any instant the newest of each asset that is not later."""

    def __init__(self, books: dict[str, list[Book]]) -> None:
        self._books = {a: sorted(b, key=lambda book: book.event_us) for a, b in books.items()}
        self._times = {a: [b.event_us for b in books] for a, books in self._books.items()}

    @classmethod
    def read(cls, path: Path | None) -> "BookHistory":
        """Return the history in a file of documents.

        Raises:
            SettingsError: If the file cannot be read.
        """
        books: dict[str, list[Book]] = {}
        for document in _read_documents(path):
            for asset, book in books_of(document).items():
                books.setdefault(asset, []).append(book)
        return cls(books)

    def at(self, now_us: int) -> dict[str, Book]:
        """Return each asset's newest book as of ``now_us``."""
        found = {}
        for asset, times in self._times.items():
            n = bisect_right(times, now_us)
            if n:
                found[asset] = self._books[asset][n - 1]
        return found


class FactorHistory:
    """Factor documents over time; each replaces the one before it."""

    def __init__(self, history: list[tuple[int, Factors]]) -> None:
        self._history = sorted(history, key=lambda pair: pair[0])
        self._times = [t for t, _ in self._history]

    @classmethod
    def read(cls, path: Path | None) -> "FactorHistory":
        """Return the history in a file of documents.

        Raises:
            SettingsError: If the file cannot be read.
        """
        history = []
        for document in _read_documents(path):
            factors = factors_of(document)
            readings = [*factors.funding.values(), *filter(None, [factors.dvol_btc])]
            if readings:
                history.append((max(r.fetch_us for r in readings), factors))
        return cls(history)

    def at(self, now_us: int) -> Factors:
        """Return the newest document's factors as of ``now_us``."""
        n = bisect_right(self._times, now_us)
        return self._history[n - 1][1] if n else NO_FACTORS
