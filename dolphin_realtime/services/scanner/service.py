"""`dolphin service scanner`: stand in for NG6 with a venue's public mark prices.

It writes scan files as docs/scan-format.md says. First come the past minutes, one scan each, so that the
traders are warm within a minute: they are too old to act on. Then a scan every few seconds: prices of
this moment, eigenvalues of the last whole minutes. While the stream is silent nothing is written: an
old price is not a scan.
"""

import asyncio
import time
from collections.abc import Iterator
from typing import Final

from dolphin_realtime.config.settings import listed
from dolphin_realtime.factors.polite_client import PoliteClient, http_client
from dolphin_realtime.factors.source_memory import memory_of
from dolphin_realtime.infra.backoff import backoff_s
from dolphin_realtime.model.errors import BookSourceError, SettingsError
from dolphin_realtime.model.instant import MINUTE_US
from dolphin_realtime.model.market.mark_feed import AHEAD_US, CLOSING_US, MarkFeed
from dolphin_realtime.model.market.return_window import ReturnWindow
from dolphin_realtime.model.market.scan import Scan
from dolphin_realtime.runtime.service_context import ServiceContext, pause
from dolphin_realtime.scans.files import write_scan
from dolphin_realtime.services.scanner.last_scan import LastScan, last_scan
from dolphin_realtime.services.scanner.listing import CANDLES, Closes, past_closes, universe
from dolphin_realtime.services.scanner.marks import contracts, marks

LEAST_RETURNS: Final = 32
LEAST_ASSETS: Final = 3
REFRESH_S: Final = 900.0
"""How often the venue is asked what it lists."""
RETRY_S: Final = (10.0, 300.0)
"""Pauses between two questions for what was not had, the shortest and the longest."""
LISTING_S: Final = 20.0
BELIEVED: Final = 0.5
"""A listing with a smaller share of the assets of the one before is taken for half an answer."""
FEW: Final = 0.1
"""Scans go on while the past of this share of the assets is missing; of more, after PATIENCE more questions."""
PATIENCE: Final = 2
EDGE_US: Final = 5_000_000
"""A minute is over this long after its end: then every asset's mark of the next one has come."""
WRITE_PAST: Final = 20
"""Past scans written in a row before the loop turns."""


def wall_us() -> int:
    """Return the host's clock."""
    return time.time_ns() // 1000


class Scanner:
    """One market: its assets, their last marks, their window of returns."""

    def __init__(self, context: ServiceContext, venue: PoliteClient) -> None:
        self._context, self._venue = context, venue
        self._settings = context.settings
        self._window = ReturnWindow(self._settings.scanner_window, LEAST_RETURNS)
        self._feed = MarkFeed(self._window)
        self._assets: list[str] = []
        self._scanned = set(map(str.upper, listed(self._settings.scanner_assets)))
        self._spectrum: tuple[tuple[int, int], list[str], list[float]] = ((0, 0), [], [])
        self._last: LastScan = last_scan(self._settings.scans, wall_us() + AHEAD_US)
        self._heard_at = 0.0
        self._must_fill, self._listing_changed = asyncio.Event(), asyncio.Event()
        self._is_filled = False

    async def run(self) -> None:
        """Follow the streams and write scans until the service stops; a task that ends ends it."""
        self._context.ready()
        async with asyncio.TaskGroup() as tasks:
            beside = [tasks.create_task(work()) for work in
                      (self._follow_marks, self._follow_listing, self._refresh, self._fill)]  # fmt: skip
            while not self._context.stopping.is_set():
                began = time.monotonic()
                await self._turn()
                self._context.turn()
                left = self._settings.scanner_cadence_s - (time.monotonic() - began)
                await pause(self._context.stopping, max(0.05, left))
            for task in beside:
                task.cancel()

    async def _follow_marks(self) -> None:
        async for message in marks(self._settings.scanner_ws, self._on_fault):
            if message is None:  # a new connection: minutes may be missing
                self._feed.begin()
                self._ask_for_past()
                continue
            before_us = self._feed.now_us
            for why in self._feed.note(message, self._scanned, wall_us()):
                self._on_fault(why)
            if self._feed.now_us > before_us:
                self._heard_at = time.monotonic()

    async def _follow_listing(self) -> None:
        async for contract in contracts(self._settings.scanner_ws, self._on_fault):
            # On a new connection a change may have been missed; else one of the scanned is gone or back.
            if contract is None or (contract.symbol in self._scanned
                    and (contract.status == "TRADING") != (contract.symbol in self._assets)):  # fmt: skip
                self._listing_changed.set()

    async def _refresh(self) -> None:
        """Ask what the venue lists: at the start, every REFRESH_S, and when it says that this changed."""
        s, tries = self._settings, 0
        while True:
            self._listing_changed.clear()
            why, found = "", self._assets
            try:
                async with asyncio.timeout(LISTING_S):
                    found = await universe(self._venue, s.scanner_assets, s.scanner_top)
            except (BookSourceError, TimeoutError) as e:
                why = str(e) or f"no answer within {LISTING_S:.0f} s"
            if len(found) < BELIEVED * len(self._assets):
                why = f"{len(found)} assets, {len(self._assets)} before"
            if why:
                self._context.count_rejection("listing_unread", why=why)
                await asyncio.sleep(backoff_s(tries, 0.5, *RETRY_S))
                tries += 1
                continue
            tries = 0
            self._believe(found)
            await asyncio.sleep(RETRY_S[0])  # changes come in bursts
            await pause(self._listing_changed, REFRESH_S - RETRY_S[0])

    def _believe(self, found: list[str]) -> None:
        if set(found) - set(self._assets):
            self._ask_for_past()
        self._scanned.update(found)
        if found != self._assets:
            self._assets, self._spectrum = found, ((0, 0), [], [])

    def _ask_for_past(self) -> None:
        self._is_filled = False
        self._must_fill.set()

    def _on_fault(self, why: str) -> None:
        reason, _, rest = why.partition(": ")
        self._context.count_rejection(reason, why=rest)

    def _minute(self) -> int:
        """Return the last minute that is over."""
        return (self._feed.now_us - EDGE_US) // MINUTE_US - 1

    async def _fill(self) -> None:
        """Ask for the past minutes of whoever lacks some; scans go on while what failed is asked again."""
        tries = 0
        while True:
            await self._must_fill.wait()
            self._must_fill.clear()
            while not (self._assets and self._feed.is_past_edge(EDGE_US)):  # noqa: ASYNC110 - the venue's clock
                await asyncio.sleep(0.05)
            minute = self._minute()
            lacking = [a for a in self._assets if self._window.lacks(a, minute)]
            found = await past_closes(self._venue, lacking, minute)
            self._take(found)
            failed = sorted(set(lacking) - set(found))
            tries = tries + 1 if failed else 0
            if len(failed) <= FEW * len(self._assets) or tries > PATIENCE:
                self._is_filled = True
            if failed:
                self._context.count_rejection("candles_unread", why=", ".join(failed[:5]))
                await pause(self._must_fill, backoff_s(tries - 1, 0.5, *RETRY_S))
                self._must_fill.set()

    def _take(self, found: dict[str, Closes]) -> None:
        """Note past closes, all at once: a scan between two would be of those that came first."""
        for asset, closes in found.items():
            for opened, close in closes:
                self._window.add(asset, opened, close)

    async def _turn(self) -> None:
        """Write the past that is new, then a scan if there is one."""
        is_silent = time.monotonic() - self._heard_at > 3 * self._settings.scanner_cadence_s
        if not self._assets or not self._feed.now_us or is_silent:
            self._context.set_phase("no_marks" if self._assets else "no_listing")
            return
        if not self._is_filled:
            self._context.set_phase("asking_for_past_minutes")
            return
        for n, past in enumerate(self._past(self._minute())):
            await self._write(past)
            if n % WRITE_PAST == 0:
                await asyncio.sleep(0)
                self._context.turn()
        scan = self._scan(self._minute(), self._feed.now_us)
        if scan is None:
            return
        await self._write(scan)
        self._context.went_well()
        self._context.set_phase("ready")

    def _past(self, minute: int) -> Iterator[Scan]:
        """Yield a scan for each minute of which there is none, from the last scan on."""
        first = max(minute - CANDLES + LEAST_RETURNS, self._last.timestamp_us // MINUTE_US)
        for past in range(first, minute):
            closed_us = (past + 1) * MINUTE_US
            if closed_us <= self._last.timestamp_us:
                continue
            ready = self._window.ready(past, self._assets)
            if len(ready) >= LEAST_ASSETS:
                prices: list[float | None] = [self._window.close(a, past) for a in ready]
                yield self._numbered(closed_us, ready, prices, self._window.spectrum(past, ready))

    def _scan(self, minute: int, now_us: int) -> Scan | None:
        """Return a scan of this moment, None if it would be of too few assets, or not later."""
        if self._spectrum[0] != (minute, self._window.revision):
            quiet = self._feed.quiet(
                self._assets, EDGE_US + CLOSING_US
            )  # no mark is a close: halted
            self._window.carry(quiet, minute)
            if minute != self._spectrum[0][0] and any(
                self._window.lacks(a, minute) for a in self._assets
            ):
                self._must_fill.set()
            ready = self._window.ready(minute, self._assets)
            if len(ready) < LEAST_ASSETS:
                self._context.set_phase("too_few_assets")
                return None
            key = minute, self._window.revision
            self._spectrum = key, ready, self._window.spectrum(minute, ready)
            kept = max(CANDLES, self._settings.scanner_window)
            self._window.forget(minute - kept, set(self._assets))
        _, ready, values = self._spectrum
        if now_us <= self._last.timestamp_us:
            self._context.set_phase("venue_clock_stands")
            return None
        return self._numbered(now_us, ready, self._feed.prices(ready), values)

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
        late_s = (wall_us() - scan.timestamp_us) / 1e6
        self._context.detail = (
            f"scan {scan.scan_number}, {len(scan.assets)} assets, {late_s:.0f} s behind the venue"
        )


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
