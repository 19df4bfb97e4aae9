"""What a host's answers say about its limits: a pause it asks for, and the weight used.

Reading statuses and headers belongs here, for the factors' sources and the order-book service;
remembering them belongs in source_memory.py. Spans are in seconds.
"""

from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final

from dolphin_realtime.factors.source_memory import HostMemory

DEFAULT_BAN_S: Final = 120.0
LONGEST_BAN_S: Final = 7 * 86_400.0
"""Binance bans for three days at the most; more is no time to wait."""
TOO_MANY: Final = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.IM_A_TEAPOT)
MAY_WAIT: Final = (*TOO_MANY, HTTPStatus.SERVICE_UNAVAILABLE)
USED_WEIGHT: Final = "x-mbx-used-weight-1m"


def retry_after_s(value: str | None, now: datetime) -> float | None:
    """Return the seconds of a Retry-After header (a number or a date), None if there is none."""
    if value is None:
        return None
    if value.strip().isdecimal():
        return min(float(value.strip()), LONGEST_BAN_S)
    try:
        return min(LONGEST_BAN_S, max(0.0, (parsedate_to_datetime(value) - now).total_seconds()))
    except (TypeError, ValueError, OverflowError):
        return None


def pause_asked_s(status: int, headers: Mapping[str, str], now: datetime) -> float | None:
    """Return the pause that an answer asks for, None if it asks for none."""
    wait_s = retry_after_s(headers.get("retry-after"), now)
    if status in TOO_MANY:
        return DEFAULT_BAN_S if wait_s is None else wait_s
    return wait_s if status in MAY_WAIT else None


def note_weight(memory: HostMemory, headers: Mapping[str, str], now: datetime) -> bool:
    """Store the weight used in this minute if an answer reports it; return whether it does."""
    used = headers.get(USED_WEIGHT)
    if used is None or not used.isdecimal():
        return False
    memory.used, memory.used_at = float(used), now
    return True
