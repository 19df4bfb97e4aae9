"""`dolphin service replay` and `dolphin replay`: write scans until stopped."""

import asyncio
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager, nullcontext
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec

from dolphin_realtime.config.live import read_key
from dolphin_realtime.config.loading import load_group
from dolphin_realtime.config.services import REPLAY
from dolphin_realtime.config.settings import Settings
from dolphin_realtime.infra import log
from dolphin_realtime.infra.extras import need
from dolphin_realtime.infra.process import notify
from dolphin_realtime.model.errors import SettingsError
from dolphin_realtime.model.instant import DAY_US, from_us
from dolphin_realtime.replay.books import (
    BookSource,
    OnTick,
    RecordedBooks,
    ReplayClock,
    SeededBooks,
)
from dolphin_realtime.replay.exchange.keys import ApiKey
from dolphin_realtime.replay.exchange.symbols import Symbol, symbols_of
from dolphin_realtime.replay.factor_server import FactorServer, serve_factors
from dolphin_realtime.replay.factor_sources import FactorSources
from dolphin_realtime.replay.factor_values import FactorValues
from dolphin_realtime.replay.market import SAMPLE, Market, ReplayParams, load_prices
from dolphin_realtime.replay.pace import Pacer, archive_days, write_scans
from dolphin_realtime.replay.venue import ReplayVenue, run_venue
from dolphin_realtime.replay.worlds.library import world

if TYPE_CHECKING:
    from dolphin_realtime.replay.exchange.server import LoopbackVenue

PREFIX: Final = "DOLPHIN_REPLAY_"
CHUNK_S: Final = 1.0
CADENCE_S: Final = (0.1, 86_400.0)
SPEED: Final = (1e-3, 1e6)


class ReplaySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``DOLPHIN_REPLAY_*``: what is replayed and how fast.

    Attributes:
        prices: Wide parquet of prices; empty: the shipped sample.
        cadence_s: Market time between scans.
        speed: Market seconds per wall second.
        window: Number of returns in the correlation matrix.
        seed: Seed of the Brownian bridge, the books and the factors.
        archive_days: Whole days before the replayed one that are archived at the start.
        venue_port: Loopback port of the replayed venue's depth stream; 0: no venue.
        exchange_port: Loopback port of the venue that takes orders on those books (ADR 16);
            0: none. Its account is `demo`, which begins with 100,000 USDT.
        exchange_trade_key: File of a key that trades it, as a live trader's key files.
        exchange_read_key: File of a key that may only read.
        books: Folder of recorded order books; other assets' books are seeded.
        factors_port: Loopback port of the replayed factors' sources; 0: no sources.
        factors: Parquet of recorded daily factors; what it lacks is seeded.
        world: Name of the events in the market and its feed (replay/worlds/library.py); empty:
            no events.
    """

    prices: str = ""
    cadence_s: float = 60.0
    speed: float = 120.0
    window: int = 240
    seed: int = 1
    archive_days: int = 3
    venue_port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 0
    exchange_port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 0
    exchange_trade_key: str = ""
    exchange_read_key: str = ""
    books: str = ""
    factors_port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 0
    factors: str = ""
    world: str = ""


def make_market(settings: ReplaySettings) -> Market:
    """Return the market of the settings' prices.

    Raises:
        SettingsError: If the prices cannot be read or a number is out of range.
    """
    if not CADENCE_S[0] <= settings.cadence_s <= CADENCE_S[1]:
        raise SettingsError(
            f"the cadence is {settings.cadence_s} s; use {CADENCE_S[0]} to {CADENCE_S[1]}"
        )
    if not SPEED[0] <= settings.speed <= SPEED[1]:
        raise SettingsError(f"the speed is {settings.speed}; use {SPEED[0]} to {SPEED[1]}")
    if settings.window < 2 or settings.seed < 0:
        raise SettingsError("the window must be at least 2, the seed not below 0")
    table = load_prices(Path(settings.prices) if settings.prices else SAMPLE)
    params = ReplayParams(cadence_s=settings.cadence_s, window=settings.window, seed=settings.seed)
    return Market(table, params)


def first_replayed_us(market: Market, archive_days: int) -> int:
    """Return the instant at which the replay begins: the day after the archived days."""
    first = int(market.rows_of(0, 2**62).start)
    begin = next(iter(market.scans_at(first))).timestamp_us // DAY_US * DAY_US
    return begin + archive_days * DAY_US


def run(settings: Settings) -> int:
    """Archive the days before, then write scans until SIGTERM; return 0."""
    log.configure(REPLAY)
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    replay = load_group(ReplaySettings, PREFIX)
    market = make_market(replay)
    first_us = first_replayed_us(market, replay.archive_days)
    archived = archive_days(market, settings.archive, 0 if not replay.archive_days else
                            first_us - replay.archive_days * DAY_US, first_us)  # fmt: skip
    place, told = settings.run_dir / "replay.json", world(replay.world) if replay.world else None
    pacer = Pacer(market, settings.scans, place, first_us, told)
    log.get().info(
        "replay.started",
        archived=[p.name for p in archived],
        begins=from_us(first_us).isoformat(),
        simulated=market.note(0) or "no: recorded prices as they are",
        world=replay.world or "none",
    )
    clock = ReplayClock(replay.speed)
    assets = list(pacer.peek().assets)
    with _venue(replay, clock, assets), _factors(replay, clock, assets):
        notify("READY=1\nSTATUS=replaying")
        write_scans(
            pacer, replay.cadence_s / replay.speed, lambda s: _wait(stopping, s), clock.show
        )
    return 0


@contextmanager
def _venue(replay: ReplaySettings, clock: ReplayClock, assets: list[str]) -> Iterator[None]:
    """Serve the replayed venue from a thread of its own while scans are written."""
    if not replay.venue_port:
        yield
        return
    source: BookSource = SeededBooks(clock, replay.seed)
    if replay.books:
        source = RecordedBooks(Path(replay.books), clock, source)
    beside: AbstractAsyncContextManager[Any] = nullcontext()
    if replay.exchange_port:
        symbols = symbols_of(assets)
        digits = {name: (one.price_digits, one.size_digits) for name, one in symbols.items()}
        source = OnTick(source, digits)
    venue = ReplayVenue(source, clock, assets)
    if replay.exchange_port:
        beside = _exchange(replay, symbols, venue).serving(replay.exchange_port)
    loop, stopping = asyncio.new_event_loop(), asyncio.Event()
    serving = run_venue(venue, replay.venue_port, stopping, beside)
    thread = threading.Thread(
        target=lambda: loop.run_until_complete(serving),
        name="venue",
        daemon=True,
    )
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(stopping.set)
        thread.join(timeout=5)


def _exchange(
    replay: ReplaySettings, symbols: dict[str, Symbol], venue: ReplayVenue
) -> "LoopbackVenue":
    """Return the venue that takes orders on the shown books, with one account and its keys.

    Raises:
        SettingsError: If its packages are not installed.
    """
    need("aiohttp", "replay", "DOLPHIN_REPLAY_EXCHANGE_PORT")
    from dolphin_realtime.replay.exchange.server import LoopbackVenue

    exchange = LoopbackVenue(symbols, venue.shown)
    exchange.exchange.open_account("demo", Decimal(100_000))
    for file, may_trade in ((replay.exchange_trade_key, True), (replay.exchange_read_key, False)):
        if file:
            pair = read_key("DOLPHIN_REPLAY_EXCHANGE_…_KEY", file)
            exchange.keyring.add(
                ApiKey(key=pair.key, account="demo", secret=pair.secret, may_trade=may_trade)
            )
    return exchange


@contextmanager
def _factors(replay: ReplaySettings, clock: ReplayClock, assets: list[str]) -> Iterator[None]:
    """Serve the replayed factors' sources from threads of their own while scans are written."""
    if not replay.factors_port:
        yield
        return
    values = FactorValues(replay.seed, Path(replay.factors) if replay.factors else None)
    sources = FactorSources(values, assets, clock.mid)
    with serve_factors(FactorServer(sources, clock.now_us), replay.factors_port):
        yield


def _wait(stopping: threading.Event, seconds: float) -> bool:
    """Wait in chunks, so that the watchdog is pinged even at a slow cadence."""
    until = time.monotonic() + seconds
    while True:
        notify("WATCHDOG=1")
        left = until - time.monotonic()
        if stopping.wait(min(max(left, 0.0), CHUNK_S)):
            return True
        if left <= CHUNK_S:
            return stopping.is_set()
