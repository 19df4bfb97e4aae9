"""Paging through Binance's history endpoints, the same way for each of them."""

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
    """Return an instant in the source's unit: milliseconds since 1970."""
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
    """Return the rows of one asset in a history in [first, last), by instant.

    Args:
        ask: The source.
        path: Of the history.
        kind: Shape of a page.
        instant: Reads the instant of a row.
        symbol: The asset; rows of another are refused.
        first: Where the first page begins.
        last: Where the last page ends.
        params: Further query parameters; ``limit`` is the length of a full page.

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
