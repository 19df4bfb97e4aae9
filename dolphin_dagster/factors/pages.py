"""Binance's histories, page by page: one way to walk them, whatever they tell."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

from dolphin_dagster.factors.ask import Ask

PAGES_MAX: Final = 100
NEXT: Final = timedelta(milliseconds=1)


class OfSymbol(Protocol):
    """A row that says which asset it is about."""

    symbol: str


def milliseconds(moment: datetime) -> int:
    """Return an instant as the source counts: milliseconds since 1970."""
    return round(moment.timestamp() * 1e3)


def rows_by_instant[R: OfSymbol](
    ask: Ask,
    path: str,
    kind: type[list[R]],
    instant: Callable[[R], datetime],
    symbol: str,
    first: datetime,
    last: datetime,
    **params: Any,
) -> dict[datetime, R]:
    """Return what a history tells of one asset in [first, last), by its instant.

    Args:
        ask: The source.
        path: Of the history.
        kind: Shape of a page.
        instant: Reads the instant of a row.
        symbol: The asset; rows of another are refused.
        first: Where the first page begins.
        last: Where the last page ends.
        params: More of the question; ``limit`` is the length of a full page.

    Raises:
        SourceUnavailable: If there is no answer.
        SourceFormatChanged: If it is of another shape, or about another asset.
    """
    found: dict[datetime, R] = {}
    begin = first
    for _ in range(PAGES_MAX):
        rows = ask.json(
            path, kind, symbol=symbol, startTime=milliseconds(begin),
            endTime=milliseconds(last) - 1, **params,
        )  # fmt: skip
        for row in rows:
            if row.symbol != symbol:
                raise ask.changed(path, "symbol", row.symbol, symbol)
            found[instant(row)] = row
        newest = max(found, default=last)
        if len(rows) < params["limit"] or newest <= begin:
            break
        begin = newest + NEXT
    return found
