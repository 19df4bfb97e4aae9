"""Order-book documents: from `ob_features_latest` to what gates and fills use.

Reading books belongs here; how a gate uses a book does not (model/signal/gates.py). Documents of
external factors belong in factors/documents.py. A malformed part is left out.
"""

import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from dolphin_realtime.model import instant
from dolphin_realtime.model.documents import finite
from dolphin_realtime.model.errors import SettingsError
from dolphin_realtime.model.market.order_book import BookFeatures, Level, fault
from dolphin_realtime.model.signal.gates import Book


def _instant_us(value: object) -> int | None:
    moment = instant.parse(value)
    return None if moment is None else instant.to_us(moment)


REAL_BOOK: Final = "book"
SIMULATED_BOOK: Final = "simulated book"


class BookView(msgspec.Struct, frozen=True):
    """One asset's book as the trader sees it; levels (price, quantity) are best first, or empty."""

    book: Book
    bids: list[Level] = []
    asks: list[Level] = []
    source: str = REAL_BOOK


class BooksDocument(msgspec.Struct, kw_only=True, omit_defaults=True):
    """`ob_features_latest` on the wire; `simulated` is present only if the books are simulated."""

    assets: dict[str, BookFeatures]
    pushed_at: datetime = msgspec.field(name="_pushed_at")
    simulated: str | None = None


_books_decoder = msgspec.json.Decoder(BooksDocument)


def read_books(text: str) -> dict[str, BookView]:
    """Return the usable books of an `ob_features_latest` document; the others are left out.

    Raises:
        ValueError: If the text is not a JSON object.
    """
    try:
        document = _books_decoder.decode(text)
    except (msgspec.ValidationError, UnicodeEncodeError):
        return books_of(msgspec.json.decode(text, type=dict[str, Any]))
    found, source = {}, _source(document.simulated)
    for asset, f in document.assets.items():
        if f.event_time.tzinfo is None:
            continue
        event_us = instant.to_us(f.event_time)
        view = _view(event_us, f.imbalance_5, f.spread_bps, (f.bids, f.asks), source)
        if view is not None:
            found[asset] = view
    return found


def _source(simulated: object) -> str:
    return SIMULATED_BOOK if simulated else REAL_BOOK


def _view(
    event_us: int,
    imbalance: float,
    spread: float,
    sides: tuple[list[Level], list[Level]],
    source: str,
) -> BookView | None:
    """Return a book; None if a number is out of range, without levels if these are not sound."""
    if not (-1.0 <= imbalance <= 1.0 and math.isfinite(spread)):
        return None
    book = Book(event_us=event_us, imbalance_5=imbalance, spread_bps=spread)
    bids, asks = sides
    levels = (*bids, *asks)
    are_sound = all(0.0 < p < math.inf and 0.0 < q < math.inf for p, q in levels)
    if not are_sound or fault(bids, asks) is not None:
        return BookView(book)
    return BookView(book, bids, asks, source)


def books_of(document: dict[str, Any]) -> dict[str, BookView]:
    """Return the usable books, by asset, of a document with a malformed part."""
    found = {}
    assets = document.get("assets")
    for asset, features in assets.items() if isinstance(assets, dict) else ():
        if not isinstance(features, dict):
            continue
        event_us = _instant_us(features.get("event_time"))
        imbalance = finite(features.get("imbalance_5"))
        spread = finite(features.get("spread_bps"))
        if event_us is None or imbalance is None or spread is None:
            continue
        sides = _levels(features.get("bids")), _levels(features.get("asks"))
        view = _view(event_us, imbalance, spread, sides, _source(document.get("simulated")))
        if view is not None:
            found[asset] = view
    return found


def _levels(raw: object) -> list[Level]:
    try:
        return msgspec.convert(raw, list[Level])
    except msgspec.ValidationError:
        return []


def read_documents(path: Path | None) -> list[dict[str, Any]]:
    """Return the documents of a file, one a line.

    Raises:
        SettingsError: If the file cannot be read.
    """
    if path is None:
        return []
    try:
        lines = path.read_bytes().splitlines()
        return [msgspec.json.decode(line, type=dict[str, Any]) for line in lines if line.strip()]
    except (OSError, msgspec.DecodeError) as e:
        raise SettingsError(f"{path}: {e}; expected one JSON document a line") from e


class BookHistory:
    """Books over time: for any instant, each asset's newest book that is not later."""

    def __init__(self, views: dict[str, list[BookView]]) -> None:
        self._views = {a: sorted(v, key=lambda view: view.book.event_us) for a, v in views.items()}
        self._times = {a: [v.book.event_us for v in views] for a, views in self._views.items()}

    @classmethod
    def read(cls, path: Path | None) -> "BookHistory":
        """Return the history in a file of documents.

        Raises:
            SettingsError: If the file cannot be read.
        """
        views: dict[str, list[BookView]] = {}
        for document in read_documents(path):
            for asset, view in books_of(document).items():
                views.setdefault(asset, []).append(view)
        return cls(views)

    def at(self, now_us: int) -> dict[str, Book]:
        """Return each asset's newest book as of ``now_us``."""
        found = {}
        for asset, times in self._times.items():
            n = bisect_right(times, now_us)
            if n:
                found[asset] = self._views[asset][n - 1].book
        return found


Timed = tuple[int, dict[str, BookView]]


class BookFeed:
    """Book documents in the order of their newest event, yielded as time advances.

    Args:
        timed: (instant of the newest event, books by asset), by instant; consumed lazily.
    """

    def __init__(self, timed: Iterable[Timed]) -> None:
        self._timed = iter(timed)
        self._next = next(self._timed, None)

    @classmethod
    def read(cls, path: Path | None) -> "BookFeed":
        """Return the feed of a file of documents.

        Raises:
            SettingsError: If the file cannot be read.
        """
        found = [books_of(document) for document in read_documents(path)]
        timed = [(max(v.book.event_us for v in d.values()), d) for d in found if d]
        return cls(sorted(timed, key=lambda pair: pair[0]))

    def until(self, now_us: int) -> Iterator[dict[str, BookView]]:
        """Yield the documents not yielded yet whose newest event is not after ``now_us``."""
        while self._next is not None and self._next[0] <= now_us:
            yield self._next[1]
            self._next = next(self._timed, None)
