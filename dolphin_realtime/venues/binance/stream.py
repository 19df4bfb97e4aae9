"""The user stream of one API key: kept open, its listen key alive, and doubted where it is silent.

Connecting, renewing and reopening belong here; what an event means does not (reader.py). A listen
key is never deleted: another client may use the same one.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from dolphin_realtime.infra import log
from dolphin_realtime.infra.backoff import backoff_s
from dolphin_realtime.model.errors import VenueError, VenueRefused
from dolphin_realtime.venues.binance.rest import Rest

BACKOFF_S: Final = (0.2, 5.0)
OPEN_S: Final = 3.0
DEAD_KEY: Final = -1125
CLOCK_OFF: Final = -1021
EXPIRED: Final = "listenKeyExpired"
ANSWER_FAULTS: Final = (VenueError, msgspec.DecodeError, ArithmeticError)
"""No answer, a refusal, or an answer that is none; a number that is none is an ArithmeticError."""
STREAM_FAULTS: Final = (*ANSWER_FAULTS, OSError, WebSocketException, TimeoutError)


class UserStream:
    """One stream.

    Attributes:
        why_not: Why it is not to be trusted now; None while it is.
        opened: How often it was opened.
    """

    def __init__(
        self,
        rest: Rest,
        url: str,
        hear: Callable[[str | bytes], str],
        on_open: Callable[[], Awaitable[None]],
        on_lost: Callable[[], None],
        renew_s: float,
        steady_s: float,
    ) -> None:
        self._rest, self._url = rest, url.rstrip("/")
        self._hear, self._on_open, self._on_lost = hear, on_open, on_lost
        self._renew_s, self._steady_s = renew_s, steady_s
        self._socket: ClientConnection | None = None
        self.why_not: str | None = "not started"
        self.opened = 0
        self._whole = asyncio.Event()

    async def run(self) -> None:
        """Keep the stream open for ever; a stream that was steady is reopened without a pause."""
        attempt = 0
        while True:
            began = time.monotonic()
            try:
                await self._listen_once()
                self.why_not = self.why_not or "the stream was closed"
            except STREAM_FAULTS as e:
                self.why_not = said(e)
                await mind_clock(self._rest, e)
            log.get().warning("venue.stream_lost", why=self.why_not)
            self._socket = None
            self._whole.clear()
            self._on_lost()
            attempt = 0 if time.monotonic() - began > self._steady_s else attempt + 1
            pause = backoff_s(attempt, random.random(), *BACKOFF_S)
            await asyncio.sleep(max(pause, self._rest.blocked_s))

    async def until_whole(self, timeout_s: float) -> bool:
        """Wait until it is to be trusted; return False on timeout."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._whole.wait()
        except TimeoutError:
            return False
        return True

    async def reopen(self, why: str) -> None:
        """Close the stream, so that it is opened anew with a living key."""
        if self._socket is not None:
            self.why_not = why
            await self._socket.close()

    async def _listen_once(self) -> None:
        key = await self._rest.make_listen_key()
        url = f"{self._url}/ws?listenKey={key}"
        async with connect(url, open_timeout=OPEN_S, proxy=None) as socket:
            self._socket = socket
            await self._on_open()
            self.opened += 1
            self.why_not = None
            self._whole.set()
            renewing = asyncio.create_task(self._renew(key))
            try:
                async for text in socket:
                    if self._hear(text) == EXPIRED:
                        self.why_not = "the listen key expired"
                        return
            finally:
                renewing.cancel()
                await asyncio.gather(renewing, return_exceptions=True)

    async def _renew(self, key: str) -> None:
        """Renew the key; reopen where it is dead, refused, or no longer this socket's."""
        while True:
            await asyncio.sleep(self._renew_s)
            try:
                if await self._rest.renew_listen_key() == key:
                    continue
                why = "the listen key is another one now"
            except VenueRefused as e:
                why = "the listen key is dead" if e.code == DEAD_KEY else said(e)
            except ANSWER_FAULTS as e:
                log.get().warning("venue.key_not_renewed", why=said(e))
                continue
            await self.reopen(why)
            return


def said(fault: BaseException) -> str:
    """Return what a fault is, without an address: it may hold a listen key."""
    return str(fault) if isinstance(fault, VenueError) else type(fault).__name__


async def mind_clock(rest: Rest, fault: BaseException) -> None:
    """Measure the clock again where the venue refused a request as not of now."""
    if isinstance(fault, VenueRefused) and fault.code == CLOCK_OFF:
        try:
            await rest.measure_clock()
        except ANSWER_FAULTS as e:
            log.get().warning("venue.clock_not_measured", why=said(e))
