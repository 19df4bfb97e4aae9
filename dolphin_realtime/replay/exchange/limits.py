"""Request weights, order counts, 429 and 418, counted as the venue counts them: by address.

Source: Binance USD-M, "Limits" of the public API documents.
"""

from typing import Final

from dolphin_realtime.replay.exchange.symbols import ORDERS_1M, ORDERS_10S, WEIGHT_1M

MINUTE_MS: Final = 60_000
TEN_S_MS: Final = 10_000
PATIENCE: Final = 20
"""So many requests in a minute after a 429 make a ban."""
BAN_MS: Final = 120_000


class LimitReached(Exception):  # noqa: N818 - an answer of the venue, not a fault of this program
    """A request over the limit: its status, its code, and when to come again."""

    def __init__(self, status: int, code: int, retry_after_s: int) -> None:
        super().__init__(f"{status}, {code}")
        self.status, self.code, self.retry_after_s = status, code, retry_after_s


class Budget:
    """What one address has used; ``banned_until_ms`` may be set by hand."""

    def __init__(self) -> None:
        self.banned_until_ms = 0
        self._minute, self._weight, self._refused = 0, 0, 0
        self._orders: dict[int, tuple[int, int]] = {}

    def spend(self, weight: int, now_ms: int, *, is_order: bool) -> dict[str, str]:
        """Count a request and return the headers that tell what is used.

        Raises:
            LimitReached: If it is over the limit, or the address is banned.
        """
        self._check_ban(now_ms)
        minute = now_ms // MINUTE_MS
        if minute != self._minute:
            self._minute, self._weight, self._refused = minute, 0, 0
        self._weight += weight
        if self._weight > WEIGHT_1M:
            self._refused += 1
            if self._refused > PATIENCE:
                self.banned_until_ms = now_ms + BAN_MS
                self._check_ban(now_ms)
            raise LimitReached(429, -1003, 1 + (MINUTE_MS - now_ms % MINUTE_MS) // 1000)
        counts = [self._count(span, now_ms, is_order) for span in (TEN_S_MS, MINUTE_MS)]
        if counts[0] > ORDERS_10S or counts[1] > ORDERS_1M:
            raise LimitReached(429, -1015, 10)
        return {
            "X-MBX-USED-WEIGHT-1M": str(self._weight),
            "X-MBX-ORDER-COUNT-10S": str(counts[0]),
            "X-MBX-ORDER-COUNT-1M": str(counts[1]),
        }

    def _check_ban(self, now_ms: int) -> None:
        if now_ms < self.banned_until_ms:
            raise LimitReached(418, -1003, 1 + (self.banned_until_ms - now_ms) // 1000)

    def _count(self, span_ms: int, now_ms: int, is_order: bool) -> int:
        number = now_ms // span_ms
        seen, count = self._orders.get(span_ms, (number, 0))
        count = (count if seen == number else 0) + is_order
        self._orders[span_ms] = (number, count)
        return count
