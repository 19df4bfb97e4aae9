"""Reading a source's answer: typed, and with the field and the value where it is not as agreed.

Shapes of single sources belong to the indicators; what a text, a number or an instant may look
like belongs here.
"""

import math
import re
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from dolphin_realtime.model.errors import SourceFormatChanged

FIRST: Final = datetime(1990, 1, 1, tzinfo=UTC)
"""No source has anything older; an instant before it is of another unit."""
AHEAD: Final = timedelta(days=366)
SHOWN: Final = 80
_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_PATH: Final = re.compile(r"at `(?P<path>\$[^`]*)`")
_STEP: Final = re.compile(r"\[(\d+)\]|\.([A-Za-z0-9_]+)")


def decode[T](where: str, body: bytes, kind: type[T]) -> T:
    """Return a JSON body as the type that was agreed, numbers and texts never taken for each other.

    Raises:
        SourceFormatChanged: If it is no JSON, or of another shape; names field and value.
    """
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as e:
        found = _PATH.search(str(e))
        path = found["path"] if found else "$"
        text = str(e).split(" - at `")[0]
        raise SourceFormatChanged(f"{where}: {path} is {_show(_at(body, path))}: {text}") from e
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as e:
        shown = _show(body[:SHOWN].decode(errors="replace"))
        raise SourceFormatChanged(f"{where}: body is {shown}: no JSON ({e})") from e


class _Named(msgspec.Struct):
    """What a row is told apart by."""

    symbol: str


def rows[T](
    where: str, body: bytes, kind: type[T], wanted: Collection[str]
) -> tuple[dict[str, T], dict[str, SourceFormatChanged], int]:
    """Return the rows of a JSON list by symbol, those that are not as agreed, and how many others.

    Each row is read by itself, and only where it was asked for: what a source adds of another
    kind is no fault.

    Args:
        where: The source, for messages.
        body: The answer.
        kind: The type of a row.
        wanted: Symbols that are asked for.

    Raises:
        SourceFormatChanged: If it is no list of rows.
    """
    found: dict[str, T] = {}
    refused: dict[str, SourceFormatChanged] = {}
    raw_rows = decode(where, body, list[msgspec.Raw])
    n_others = 0
    for raw in raw_rows:
        try:
            symbol = msgspec.json.decode(raw, type=_Named).symbol
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            n_others += 1
            continue
        if symbol not in wanted:
            n_others += 1
            continue
        try:
            found[symbol] = decode(f"{where}: {symbol}", bytes(raw), kind)
        except SourceFormatChanged as e:
            refused[symbol] = e
    return found, {s: e for s, e in refused.items() if s not in found}, n_others


def _at(body: bytes, path: str) -> Any:
    """Return what lies at a path of a JSON body, its innermost known part."""
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return body[:SHOWN].decode(errors="replace")
    for index, name in _STEP.findall(path):
        try:
            value = value[int(index)] if index else value[name]
        except (KeyError, IndexError, TypeError):
            break
    return value


def _show(value: object) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def number(where: str, field: str, text: str) -> float:
    """Return the finite number that a text holds.

    Raises:
        SourceFormatChanged: If it holds none.
    """
    value = float(text) if _NUMBER.fullmatch(text) else math.nan
    if not math.isfinite(value):
        raise SourceFormatChanged(f"{where}: {field} is {text!r}: expected a finite number")
    return value


def instant(where: str, field: str, value: str | float, unit_s: float, now: datetime) -> datetime:
    """Return the instant that a number of units since 1970 stands for.

    Args:
        where: The source, for messages.
        field: The field, for messages.
        value: The number, as such or as a text.
        unit_s: 1 for seconds, 0.001 for milliseconds.
        now: The market's time.

    Raises:
        SourceFormatChanged: If that is an instant which no source can mean: another unit.
    """
    seconds = number(where, field, str(value)) * unit_s
    unit = "milliseconds" if unit_s < 1 else "seconds"
    if not FIRST.timestamp() <= seconds <= (now + AHEAD).timestamp():
        raise SourceFormatChanged(f"{where}: {field} is {value!r}: expected {unit} since 1970")
    return datetime.fromtimestamp(seconds, UTC)
