"""Requests to Binance USD-M: signed, bounded in time, and none while the venue says to wait.

One request and its faults belong here; what is asked, and how often, is up to the reader. Nothing
is repeated: the caller knows whether that is safe. Sources: Binance USD-M, "General info", "Limits".
"""

import time
from datetime import UTC, datetime
from typing import Final

import httpx2
import msgspec

from dolphin_realtime.factors.http_patience import USED_WEIGHT, pause_asked_s
from dolphin_realtime.model.errors import VenueBlocked, VenueRefused, VenueUnreachable
from dolphin_realtime.venues.binance.signing import Signer, signed_query

TIMEOUT_S: Final = 3.0
RECV_WINDOW_MS: Final = 3000
CLOCK_TRIES: Final = 3
WEIGHT_MAX: Final = 1800
"""Of the 2,400 a minute of an address: above it only what cannot wait is asked."""
WEIGHT_URGENT: Final = 2300
"""Above it nothing is asked: the rest is left to orders."""
URGENT: Final = ("/fapi/v1/listenKey", "/fapi/v1/order", "/fapi/v1/time")
LISTEN_KEY: Final = "/fapi/v1/listenKey"


class _Refusal(msgspec.Struct):
    code: int
    msg: str = ""


class _Time(msgspec.Struct):
    at_ms: int = msgspec.field(name="serverTime")


class _Key(msgspec.Struct):
    key: str = msgspec.field(name="listenKey")


class Rest:
    """A client with one API key.

    Args:
        base_url: Address of the venue.
        api_key: The key.
        sign: Signs with its secret.
        spares: Whether some of the minute's weight is left to others; not in an emergency.

    Attributes:
        offset_ms: The venue's clock less the host's, as last measured.
        used_weight: Request weight of the current minute, as the venue last said.
    """

    def __init__(self, base_url: str, api_key: str, sign: Signer, *, spares: bool = True) -> None:
        self._client = httpx2.AsyncClient(
            base_url=base_url, timeout=TIMEOUT_S, headers={"X-MBX-APIKEY": api_key}, trust_env=False
        )
        self._sign, self._spares = sign, spares
        self._blocked_until = 0.0
        self.offset_ms, self.used_weight = 0.0, 0
        self._minute = 0.0

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    @property
    def blocked_s(self) -> float:
        """For how many more seconds nothing is asked."""
        return max(0.0, self._blocked_until - time.monotonic())

    def now_ms(self) -> int:
        """Return the venue's time."""
        return round(time.time() * 1000 + self.offset_ms)

    async def measure_clock(self) -> float:
        """Measure the venue's clock and return how uncertain that is, in milliseconds.

        Raises:
            VenueError: If it does not answer.
        """
        best = float("inf")
        for _ in range(CLOCK_TRIES):
            began = time.time() * 1000
            found = msgspec.json.decode(await self._ask("GET", "/fapi/v1/time"), type=_Time)
            took = time.time() * 1000 - began
            if took < best:
                best, self.offset_ms = took, found.at_ms - (began + took / 2)
        return best / 2

    async def get(self, path: str, **params: str | int) -> bytes:
        """Return the answer to a signed question.

        Raises:
            VenueRefused: With the venue's code.
            VenueUnreachable: Without an answer, or with one that is none.
            VenueBlocked: While the venue says to wait.
        """
        params |= {"recvWindow": RECV_WINDOW_MS, "timestamp": self.now_ms()}
        return await self._ask("GET", f"{path}?{signed_query(params, self._sign)}")

    async def send(self, method: str, path: str, **params: str | int) -> bytes:
        """Send a signed command, once, and return its answer.

        Raises:
            VenueError: As `get`; what became of it is not known where there was no answer.
        """
        params |= {"recvWindow": RECV_WINDOW_MS, "timestamp": self.now_ms()}
        return await self._ask(method, f"{path}?{signed_query(params, self._sign)}")

    async def public(self, path: str) -> bytes:
        """Return the answer to a question that needs no signature.

        Raises:
            VenueError: As `get`.
        """
        return await self._ask("GET", path)

    async def make_listen_key(self) -> str:
        """Return the API key's listen key; the living one if there is one.

        Raises:
            VenueError: As `get`.
        """
        return msgspec.json.decode(await self._ask("POST", LISTEN_KEY), type=_Key).key

    async def renew_listen_key(self) -> str:
        """Begin the hour of the API key's listen key again, and return that key.

        Raises:
            VenueError: As `get`; -1125 if it is dead.
        """
        return msgspec.json.decode(await self._ask("PUT", LISTEN_KEY), type=_Key).key

    async def _ask(self, method: str, target: str) -> bytes:
        path = target.partition("?")[0]
        most = WEIGHT_URGENT if path in URGENT else WEIGHT_MAX
        if self._spares and self.used_weight > most and self._minute == time.time() // 60:
            raise VenueBlocked(f"{self.used_weight} of the minute's weight is used")
        if self.blocked_s > 0.0:
            raise VenueBlocked(f"the venue is left alone for another {self.blocked_s:.0f} s")
        try:
            answer = await self._client.request(method, target)
        except httpx2.HTTPError as e:
            raise VenueUnreachable(f"{method} {path}: {type(e).__name__}") from None
        used = answer.headers.get(USED_WEIGHT, "")
        if used.isdigit():
            self.used_weight, self._minute = int(used), time.time() // 60
        wait_s = pause_asked_s(answer.status_code, answer.headers, datetime.now(UTC))
        if wait_s is not None:
            raise self._block(answer.status_code, wait_s)
        if answer.status_code >= 400:
            raise _fault_of(answer)
        return answer.content

    def _block(self, status: int, asked_s: float) -> VenueBlocked:
        wait_s = max(1.0, asked_s)
        self._blocked_until = max(self._blocked_until, time.monotonic() + wait_s)
        return VenueBlocked(f"{status}: the venue asks to wait {wait_s:.0f} s")


def _fault_of(answer: httpx2.Response) -> VenueRefused | VenueUnreachable:
    """Return what an answer that is no success means: 5xx or no code is no answer."""
    try:
        refusal = msgspec.json.decode(answer.content, type=_Refusal)
    except msgspec.DecodeError:
        return VenueUnreachable(f"{answer.status_code} without a code")
    if answer.status_code >= 500:
        return VenueUnreachable(f"{answer.status_code}: {refusal.code} {refusal.msg}")
    return VenueRefused(refusal.code, refusal.msg)
