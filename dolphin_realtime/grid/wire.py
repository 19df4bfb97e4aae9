"""Documents on the wire: plain JSON text; malformed values are read as None."""

from datetime import datetime
from typing import Any

import msgspec

from dolphin_realtime.model import instant


def read[D](value: object, kind: type[D]) -> D | None:
    """Return a wire value as a document of a type, None if it is absent or of another shape."""
    if not isinstance(value, str):
        return None
    try:
        return msgspec.json.decode(value, type=kind)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None


def bridged_at(scan: dict[str, Any] | None) -> datetime | None:
    """Return when a scan was bridged, None if the document does not say."""
    return instant.parse(scan.get("bridge_ts")) if scan else None


def encode(document: object) -> str:
    """Return a document as the plain JSON string that goes on the wire."""
    return msgspec.json.encode(document).decode()


def decode(value: object) -> dict[str, Any] | None:
    """Return a wire value as a dict, or None where it is absent, pickled or not an object."""
    if not isinstance(value, str):
        return None
    try:
        document = msgspec.json.decode(value)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def age_s(moment: object, now: datetime) -> float | None:
    """Return the age of an ISO 8601 instant with offset, None if it is not one."""
    parsed = instant.parse(moment)
    return None if parsed is None else (now - parsed).total_seconds()
