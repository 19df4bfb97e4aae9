"""Simulated format errors of a source: the same answer, wrong in one way.

Each function takes a correct answer (decoded JSON or CSV text) and corrupts it. The unit of an
instant is recognised by its size: a value between 2001 and 2100 in seconds or in milliseconds.
"""

import math
from collections.abc import Callable
from typing import Any, Final

SECONDS: Final = (1e9, 4.1e9)
MILLISECONDS: Final = (1e12, 4.1e12)
STALE_S: Final = 10 * 86_400
_INSTANTS: Final = ("time", "timestamp", "fundingTime", "updated_at", "nextFundingTime")

Spoil = Callable[[str, Any], Any]


def _each(body: Any, spoil: Spoil, key: str = "") -> Any:
    """Return an answer with every leaf replaced by ``spoil(field, value)``."""
    if isinstance(body, dict):
        return {k: _each(v, spoil, k) for k, v in body.items()}
    if isinstance(body, list):
        is_candle = len(body) == 5 and all(isinstance(v, int | float) for v in body)
        names = ("time", "open", "high", "low", "close") if is_candle else (key,) * len(body)
        return [_each(v, spoil, n) for v, n in zip(body, names, strict=True)]
    return spoil(key, body)


def _csv(body: str, cell: Callable[[int, str], str]) -> str:
    """Return CSV text with every cell below the header replaced by ``cell(column, text)``."""
    head, *rows = body.splitlines()
    changed = [",".join(cell(n, c) for n, c in enumerate(row.split(","))) for row in rows]
    return "\n".join([head, *changed]) + "\n"


def _number(value: Any) -> float | None:
    try:
        return None if isinstance(value, bool) or value is None else float(value)
    except ValueError:
        return None


def _alike(value: Any, changed: float) -> Any:
    """Return a number in the same form (text, int or float) as the one it replaces."""
    if isinstance(value, str):
        return f"{changed:.8f}"
    return round(changed) if isinstance(value, int) and changed == round(changed) else changed


def _scaled(factor: float) -> Callable[[Any], Any]:
    def spoil(key: str, value: Any) -> Any:
        found = _number(value)
        if found is None or key in _INSTANTS or key in ("id", "time_until_update"):
            return value
        return _alike(value, found * factor)

    def change(body: Any) -> Any:
        if isinstance(body, str):
            return _csv(body, lambda n, c: c if n == 0 else f"{float(c) * factor:.6f}")
        return _each(body, spoil)

    return change


def _strings(body: Any) -> Any:
    """Return numbers as texts, and texts that hold numbers as numbers."""
    if isinstance(body, str):
        return _csv(body, lambda n, c: c if n == 0 else f"about {c}")

    def spoil(_key: str, value: Any) -> Any:
        if isinstance(value, str):
            found = _number(value)
            return value if found is None else found
        return value if isinstance(value, bool) or value is None else str(value)

    return _each(body, spoil)


def _instants(change: Callable[[float], float]) -> Callable[[Any], Any]:
    def spoil(key: str, value: Any) -> Any:
        found = _number(value)
        if key not in _INSTANTS or found is None:
            return value
        changed = round(change(found))
        return str(changed) if isinstance(value, str) else changed

    return lambda body: body if isinstance(body, str) else _each(body, spoil)


def _other_unit(value: float) -> float:
    """Return milliseconds as seconds, and seconds as milliseconds."""
    if MILLISECONDS[0] <= value <= MILLISECONDS[1]:
        return value / 1e3
    return value * 1e3 if SECONDS[0] <= value <= SECONDS[1] else value


def _older(value: float) -> float:
    is_ms = MILLISECONDS[0] <= value <= MILLISECONDS[1]
    return value - STALE_S * (1e3 if is_ms else 1.0)


def _seconds(body: Any) -> Any:
    if isinstance(body, str):
        return _csv(body, lambda n, c: "1744000000" if n == 0 else c)
    return _instants(_other_unit)(body)


def _stale(body: Any) -> Any:
    if isinstance(body, str):
        head, *rows = body.splitlines()
        return "\n".join([head, *rows[:-10]]) + "\n"
    return _instants(_older)(body)


def _shape(body: Any) -> Any:
    """Return the same values under other names."""
    if isinstance(body, str):
        return body.replace("DATE", "Day").replace("CLOSE", "Last")
    if isinstance(body, list):
        return {"rows": body}
    return {f"{key}New": value for key, value in body.items()}


def _empty(body: Any) -> Any:
    """Return an answer without its rows; an answer that has no rows becomes empty."""
    if isinstance(body, str):
        return body.splitlines()[0] + "\n"
    if isinstance(body, list) or not _has_rows(body):
        return type(body)()
    return {k: _empty(v) if isinstance(v, dict | list) else v for k, v in body.items()}


def _has_rows(body: Any) -> bool:
    parts = body.values() if isinstance(body, dict) else ()
    return isinstance(body, list) or any(_has_rows(part) for part in parts)


def _html(_body: Any) -> str:
    return "<!DOCTYPE html><html><body>Attention required! Checking your browser.</body></html>"


def _not_finite(body: Any) -> Any:
    if isinstance(body, str):
        return _csv(body, lambda n, c: c if n == 0 else "NaN")

    def spoil(key: str, value: Any) -> Any:
        if _number(value) is None or key in _INSTANTS:
            return value
        return "NaN" if isinstance(value, str) else math.inf

    return _each(body, spoil)


BAD_BODIES: Final[dict[str, Callable[[Any], Any]]] = {
    "html": _html,
    "empty": _empty,
    "shape": _shape,
    "strings": _strings,
    "unit": _scaled(0.01),
    "percent": _scaled(100.0),
    "range": _scaled(1e9),
    "negative": _scaled(-1.0),
    "not_finite": _not_finite,
    "seconds": _seconds,
    "stale": _stale,
}
"""The corrupting function of each fault, by the fault's name."""
