"""Numbers and tables of a report's page."""

import html
from collections.abc import Iterable

from dolphin_realtime.model.instant import from_us

Row = tuple[str, str]


def usd(value: float) -> str:
    """Return an amount as text."""
    return f"{value:,.2f}"


def colour(net: float) -> str:
    """Return the style of a profit or a loss."""
    return "good" if net > 0 else "bad" if net < 0 else ""


def share(value: float | None) -> str:
    """Return a fraction as per cent, a dash for None."""
    return "–" if value is None else f"{100.0 * value:.3f} %"


def number(value: float | None, digits: int = 2) -> str:
    """Return a number as text, a dash for None."""
    return "–" if value is None else f"{value:,.{digits}f}"


def instant(microseconds: int | None) -> str:
    """Return an instant as text, a dash for None."""
    return "–" if microseconds is None else f"{from_us(microseconds):%Y-%m-%d %H:%M:%S} UTC"


def table(title: str, rows: Iterable[Row]) -> str:
    """Return a section of two columns."""
    cells = "".join(
        f"<tr><td>{html.escape(name)}</td><td>{html.escape(value)}</td></tr>"
        for name, value in rows
    )
    return f"<section><h2>{html.escape(title)}</h2><table>{cells}</table></section>"
