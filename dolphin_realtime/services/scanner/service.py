"""`dolphin service scanner`: stand in for NG6 with a venue's public mark prices.

It writes scan files as docs/scan-format.md says. First come the past minutes, one scan each, so that the
traders are warm within a minute: they are too old to act on. Then a scan every few seconds: prices of
this moment, eigenvalues of the last whole minutes. While the stream is silent nothing is written: an
old price is not a scan.
"""

import asyncio
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

from dolphin_realtime.config.settings import listed
from dolphin_realtime.factors.polite_client import PoliteClient, http_client
from dolphin_realtime.factors.source_memory import memory_of
from dolphin_realtime.model.errors import BookSourceError, SettingsError
from dolphin_realtime.model.instant import MINUTE_US, to_us
from dolphin_realtime.model.market.return_window import ReturnWindow
from dolphin_realtime.model.market.scan import Scan
from dolphin_realtime.runtime.service_context import ServiceContext, pause
from dolphin_realtime.scans.files import write_scan
from dolphin_realtime.services.scanner.last_scan import LastScan, last_scan
from dolphin_realtime.services.scanner.listing import CANDLES, fill, universe
from dolphin_realtime.services.scanner.marks import Listing, Mark, marks

LEAST_RETURNS: Final = 32
LEAST_ASSETS: Final = 3
REFRESH_S: Final = 900.0
"""How often the venue is asked what it lists."""
RETRY_S: Final = 10.0
HALTED_S: Final = 30.0
"""An asset without a mark price for this long has no price in a scan."""
WRITE_PAST: Final = 20
"""Past scans written in a row before the loop turns."""


class Scanner:
    """One market: its assets, their last marks, their window of returns."""

    def __init__(self, context: ServiceContext, venue: PoliteClient) -> None:
        self._context, self._venue = context, venue
        self._settings = context.settings
        self._window = ReturnWindow(self._settings.scanner_window, LEAST_RETURNS)
        self._marks: dict[str, tuple[float, int]] = {}
        self._assets: list[str] = []
        self._scanned = set(map(str.upper, listed(self._settings.scanner_assets)))
        self._spectrum: tuple[int, list[str], list[float]] = (0, [], [])
        self._last: LastScan = last_scan(self._settings.scans)
        self._heard_at = 0.0
        self._minute = 0
        self._must_fill = True
        self._listing_changed = asyncio.Event()

    async def run(self) -> None:
        """Follow the stream and write scans until the service stops."""
        following = asyncio.create_task(self._follow())
        listing = asyncio.create_task(self._refresh())
        self._context.ready()
        try:
            while not self._context.stopping.is_set():
                began = time.monotonic()
                await self._turn()
                self._context.turn()
                left = self._settings.scanner_cadence_s - (time.monotonic() - began)
                await pause(self._context.stopping, max(0.05, left))
        finally:
            for task in (following, listing):
                task.cancel()
            await asyncio.gather(following, listing, return_exceptions=True)

    async def _follow(self) -> None:
        async for message in marks(self._settings.scanner_ws, self._on_fault):
            if (
                message is None
            ):  # a new connection: minutes and changes of the listing may be missing
                self._must_fill = True
                self._listing_changed.set()
            elif isinstance(message, Listing):
                self._note_listing(message)
            else:
                for mark in message:
                    self._note(mark)

    def _note_listing(self, contract: Listing) -> None:
        """Ask what the venue lists, if one of the scanned is gone, or one that is missed is there."""
        is_open = contract.status == "TRADING"
        if contract.symbol in self._scanned and is_open != (contract.symbol in self._assets):
            self._listing_changed.set()

    def _note(self, mark: Mark) -> None:
        try:
            price = float(mark.price)
        except ValueError:
            self._context.count_rejection("bad_mark", why=f"{mark.symbol}: {mark.price!r}")
            return
        minute = mark.event_ms * 1000 // MINUTE_US
        before = self._marks.get(mark.symbol)
        if before is not None and before[1] * 1000 // MINUTE_US == minute - 1:
            self._window.add(mark.symbol, minute - 1, before[0])  # the last mark of that minute
        self._marks[mark.symbol] = price, mark.event_ms
        self._heard_at = time.monotonic()

    async def _refresh(self) -> None:
        """Ask what the venue lists: at the start, every REFRESH_S, and when it says that this changed."""
        s = self._settings
        while True:
            try:
                found = await universe(self._venue, s.scanner_assets, s.scanner_top)
            except BookSourceError as e:
                self._context.count_rejection("listing_unread", why=str(e))
                await asyncio.sleep(RETRY_S)
                continue
            self._must_fill = self._must_fill or bool(set(found) - set(self._assets))
            self._scanned.update(found)
            if found != self._assets:
                self._assets, self._spectrum = found, (0, [], [])
            await asyncio.sleep(RETRY_S)  # changes come in bursts
            with suppress(TimeoutError):
                await asyncio.wait_for(self._listing_changed.wait(), REFRESH_S - RETRY_S)
            self._listing_changed.clear()

    def _on_fault(self, why: str) -> None:
        self._context.count_rejection(why.split(":", maxsplit=1)[0], why=why)

    async def _turn(self) -> None:
        """Fill what is missing, then write a scan if there is one."""
        newest_ms = max((at for _, at in self._marks.values()), default=0)
        is_silent = time.monotonic() - self._heard_at > 3 * self._settings.scanner_cadence_s
        if not self._assets or not newest_ms or is_silent:
            self._context.set_phase("no_marks" if self._assets else "no_listing")
            return
        minute = newest_ms * 1000 // MINUTE_US - 1
        if self._must_fill:
            await self._fill(minute)
        scan = self._scan(minute, newest_ms * 1000)
        if scan is None:
            self._context.set_phase("too_few_assets")
            return
        await self._write(scan)
        self._context.went_well()
        self._context.set_phase("ready")

    async def _fill(self, minute: int) -> None:
        self._must_fill = False
        lacking = [a for a in self._assets if not self._window.has(a, minute - LEAST_RETURNS)
                   or not self._window.has(a, minute)]  # fmt: skip
        failed = await fill(self._venue, self._window, lacking, minute)
        if failed:
            self._must_fill = True
            self._context.count_rejection("candles_unread", why=", ".join(failed[:5]))
        for n, scan in enumerate(self._past(minute)):
            await self._write(scan)
            if n % WRITE_PAST == 0:
                await asyncio.sleep(0)
                self._context.turn()

    def _past(self, minute: int) -> Iterator[Scan]:
        """Yield a scan for each past minute after the last scan that is on disk."""
        first = max(minute - CANDLES + LEAST_RETURNS, self._last.timestamp_us // MINUTE_US)
        for past in range(first, minute + 1):
            closed_us = (past + 1) * MINUTE_US
            ready = self._window.ready(past, self._assets)
            if closed_us > self._last.timestamp_us and len(ready) >= LEAST_ASSETS:
                prices: list[float | None] = [self._window.close(a, past) for a in ready]
                yield self._numbered(closed_us, ready, prices, self._window.spectrum(past, ready))

    def _scan(self, minute: int, now_us: int) -> Scan | None:
        """Return a scan of this moment, None if it would be of too few assets, or not later."""
        if self._spectrum[0] != minute:
            self._window.carry(self._assets, minute)  # halted, and still listed
            ready = self._window.ready(minute, self._assets)
            if len(ready) < LEAST_ASSETS:
                return None
            self._spectrum = minute, ready, self._window.spectrum(minute, ready)
            self._window.forget(minute - CANDLES, set(self._assets))
        _, ready, values = self._spectrum
        if now_us <= self._last.timestamp_us:
            return None
        least_ms = now_us // 1000 - HALTED_S * 1000
        known = [self._marks.get(a, (0.0, 0)) for a in ready]
        prices = [price if at >= least_ms else None for price, at in known]
        return self._numbered(now_us, ready, prices, values)

    def _numbered(
        self, at_us: int, assets: list[str], prices: list[float | None], values: list[float]
    ) -> Scan:
        return Scan(
            scan_number=self._last.number + 1, timestamp_us=at_us, assets=list(assets), prices=prices,
            eigenvalues=list(values), simulated=self._settings.scanner_simulated or None,
        )  # fmt: skip

    async def _write(self, scan: Scan) -> None:
        try:
            await asyncio.to_thread(write_scan, self._settings.scans, scan)
        except OSError as e:
            self._context.count_rejection("scan_unwritten", why=str(e))
            return
        self._last = LastScan(scan.scan_number, scan.timestamp_us)
        self._context.figures.set("scans", scan.scan_number)
        late_s = to_us(datetime.now(UTC)) / 1e6 - scan.timestamp_us / 1e6
        self._context.detail = f"scan {scan.scan_number}, {len(scan.assets)} assets, {max(0.0, late_s):.0f} s behind the venue"


async def run(context: ServiceContext) -> None:
    """Run the scanner in its service context.

    Raises:
        SettingsError: If an address is not set.
    """
    s = context.settings
    if not (s.scanner_ws and s.scanner_rest):
        raise SettingsError("the scanner needs DOLPHIN_SCANNER_WS and DOLPHIN_SCANNER_REST")
    async with http_client() as http:
        venue = PoliteClient(http, s.scanner_rest, memory_of(s.run_dir))
        await Scanner(context, venue).run()
