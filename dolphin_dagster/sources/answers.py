"""Decoding a source's answer strictly; errors name the field and the value.

The types of single sources' answers belong in indicators/; how a text, a number or an instant is
read belongs here.
"""

import math
import re
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from dolphin_realtime.model.errors import SourceFormatChanged

FIRST: Final = datetime(1990, 1, 1, tzinfo=UTC)
"""No source has older data; an earlier instant means another unit."""
AHEAD: Final = timedelta(days=366)
SHOWN: Final = 80
_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_PATH: Final = re.compile(r"at `(?P<path>\$[^`]*)`")
_STEP: Final = re.compile(r"\[(\d+)\]|\.([A-Za-z0-9_]+)")


def decode[T](where: str, body: bytes, kind: type[T]) -> T:
    """Return a JSON body as the expected type; texts are never read as numbers or vice versa.

    Raises:
        SourceFormatChanged: If it is not JSON, or of another shape; names field and value.
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
        raise SourceFormatChanged(f"{where}: body is {shown}: not JSON ({e})") from e


class _Named(msgspec.Struct):
    """The field that identifies a row."""

    symbol: str


def rows[T](
    where: str, body: bytes, kind: type[T], wanted: Collection[str]
) -> tuple[dict[str, T], dict[str, SourceFormatChanged], int]:
    """Return a JSON list's rows by symbol, the rows that cannot be read, and the number of others.

    Each row is decoded by itself, and only if its symbol is wanted: other kinds of rows that a
    source adds are not an error.

    Args:
        where: The source, for messages.
        body: The answer.
        kind: The type of a row.
        wanted: Symbols that are asked for.

    Raises:
        SourceFormatChanged: If it is not a list.
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
    """Return the value at a path of a JSON body, or its deepest part that exists."""
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
        SourceFormatChanged: If it holds no finite number.
    """
    value = float(text) if _NUMBER.fullmatch(text) else math.nan
    if not math.isfinite(value):
        raise SourceFormatChanged(f"{where}: {field} is {text!r}: expected a finite number")
    return value


def instant(where: str, field: str, value: str | float, unit_s: float, now: datetime) -> datetime:
    """Return the instant given as a number of units since 1970.

    Args:
        where: The source, for messages.
        field: The field, for messages.
        value: The number, or its text.
        unit_s: 1 for seconds, 0.001 for milliseconds.
        now: The market's time.

    Raises:
        SourceFormatChanged: If the instant is implausible, which means another unit.
    """
    seconds = number(where, field, str(value)) * unit_s
    unit = "milliseconds" if unit_s < 1 else "seconds"
    if not FIRST.timestamp() <= seconds <= (now + AHEAD).timestamp():
        raise SourceFormatChanged(f"{where}: {field} is {value!r}: expected {unit} since 1970")
    return datetime.fromtimestamp(seconds, UTC)
