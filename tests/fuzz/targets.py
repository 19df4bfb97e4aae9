"""What is fuzzed: one function an input, returning whether the input passed its parser.

Each raises AssertionError where bad input was traded on, and whatever else a crash raises.
"""

import math
from datetime import UTC, datetime, timedelta

import msgspec

from dolphin_realtime.books.documents import BooksDocument
from dolphin_realtime.model.errors import ScanError
from dolphin_realtime.model.instant import from_us
from dolphin_realtime.model.market.order_book import features
from dolphin_realtime.model.market.scan import decode_scan, encode_scan
from dolphin_realtime.model.portfolio import saved as portfolio_state
from dolphin_realtime.model.portfolio.decision import TargetParams
from dolphin_realtime.model.portfolio.fill_rule import MarketSnapshot
from dolphin_realtime.model.portfolio.portfolio import Portfolio
from dolphin_realtime.model.risk.permission import TradingPermission
from dolphin_realtime.model.risk.posture import Posture, SafetyDocument
from dolphin_realtime.model.signal.gates import Book
from dolphin_realtime.model.signal.params import SignalParams
from dolphin_realtime.scans.files import parse_scan, refuse_unpublishable, to_bytes
from dolphin_realtime.services.trader.guard import Guard
from dolphin_realtime.trading.book_cache import BookCache
from dolphin_realtime.trading.factor_cache import FactorCache
from tests.fuzz.mutate import Choose, flip, mutate, paths
from tests.orders import fill
from tests.scans import walk

SCANS = walk(421, volatility=2e-3)
SIGNAL = SignalParams(s_in=0.5, s_out=0.2)
TARGET = TargetParams(band=0.02)


def _warm_portfolio() -> bytes:
    portfolio = Portfolio("F", SIGNAL, TARGET)
    for scan in SCANS[:-1]:
        plan = portfolio.decide(msgspec.structs.replace(scan), TradingPermission())
        portfolio.finish_scan(plan)
        tape = MarketSnapshot(now_us=scan.timestamp_us, prices=plan.prices)
        for execution in portfolio.match(tape)[0]:
            order = execution.order
            fill(portfolio, order, execution.quote.bid, 0.0, 1.0)
        portfolio.mark()
    return portfolio_state.save(portfolio)


WARM = _warm_portfolio()
SCAN_DOCUMENT = msgspec.json.decode(encode_scan(SCANS[-1], datetime(2026, 1, 1, tzinfo=UTC)))
SCAN_PATHS = paths(SCAN_DOCUMENT)
SCAN_FILE = to_bytes(SCANS[-1])


def warm_portfolio() -> Portfolio:
    portfolio = Portfolio("F", SIGNAL, TARGET)
    portfolio_state.restore(portfolio, WARM)
    return portfolio


def trade(portfolio: Portfolio, scan, limits=None, book=None, factors=None) -> None:
    """Take a scan as the inbox does; every order must be one that a good price explains."""
    guard = Guard("BLUE", is_replay=True, cadence_min_s=1.0, trouble=lambda: None)
    try:
        guard.refuse_implausible(scan, portfolio.signals.order.timestamp_us)
        plan = portfolio.decide(scan, limits or TradingPermission(), book, factors)
    except ScanError:
        return
    portfolio.finish_scan(plan)
    for order in plan.orders:
        o, price = order.order, plan.prices[order.order.asset]
        assert math.isfinite(o.quantity), order
        assert o.quantity > 0.0, order
        assert math.isfinite(price), order
        assert price > 0.0, order
        assert o.is_reduce_only or o.quantity * price <= portfolio.pre_trade.max_order_usd, order
    for value in plan.signal.signal:
        assert -1.0 <= value <= 1.0, value
    portfolio_state.save(portfolio)
    portfolio.account.check()
    assert math.isfinite(portfolio.equity())


def scan_document(choose: Choose) -> bool:
    changed = msgspec.json.encode(mutate(SCAN_DOCUMENT, SCAN_PATHS, choose))
    if choose(10) == 0:
        changed = flip(changed, choose)
    try:
        scan = decode_scan(changed)
    except ScanError:
        return False
    trade(warm_portfolio(), msgspec.structs.replace(scan, epoch=1))
    return True


def scan_file(choose: Choose) -> bool:
    try:
        scan = parse_scan(flip(SCAN_FILE, choose), "fuzzed.arrow")
        refuse_unpublishable(scan, "fuzzed.arrow")
        again = decode_scan(encode_scan(scan, datetime.now(UTC)))
    except ScanError:
        return False
    again = msgspec.structs.replace(again, epoch=1)
    trade(warm_portfolio(), again)
    return True


def safety_document(choose: Choose) -> bool:
    """Entries stay blocked unless the document is whole, known and fresh."""
    now = datetime.now(UTC)
    age_s = (0, 1, 2, 3, 20, 30, 40, 50)[choose(8)]  # far from the limit: the clock goes on
    document = {
        "posture": list(Posture)[choose(4)], "size_multiplier": 1.0, "reasons": ["x"],
        "limits": {"a": 1.0}, "since": now.isoformat(),
        "ts": (now - timedelta(seconds=age_s)).isoformat(), "flatten": None,
    }  # fmt: skip
    text = msgspec.json.encode(mutate(document, paths(document), choose, 1)).decode()
    guard = Guard("BLUE", is_replay=True, cadence_min_s=1.0, trouble=lambda: None)
    guard.on_safety(text)
    limits = guard.limits(
        msgspec.structs.replace(SCANS[-1], bridge_ts=datetime.now(UTC)), datetime.now(UTC)
    )
    try:
        read = msgspec.json.decode(text, type=SafetyDocument)
    except (msgspec.DecodeError, ValueError):
        assert limits.entry_block == "POSTURE_UNKNOWN", text
        return False
    is_fresh = read.ts.tzinfo and abs((datetime.now(UTC) - read.ts).total_seconds()) <= 10.0
    if is_fresh:
        assert limits.posture is read.posture
    else:
        assert limits.entry_block == "POSTURE_UNKNOWN", text
    return True


def _books() -> dict:
    scan = SCANS[-1]
    at = from_us(scan.timestamp_us - 1_000_000)
    assets = {
        a: features([(p * 0.999, 5.0), (p * 0.998, 9.0)], [(p * 1.001, 4.0), (p * 1.002, 9.0)], at)
        for a, p in zip(scan.assets[:6], scan.prices, strict=False)
    }
    return msgspec.to_builtins(BooksDocument(assets=assets, pushed_at=at))


BOOKS = _books()
BOOK_PATHS = paths(BOOKS)


def books_document(choose: Choose) -> bool:
    portfolio = warm_portfolio()
    cache = BookCache(portfolio)
    try:
        cache.update(msgspec.json.encode(mutate(BOOKS, BOOK_PATHS, choose)).decode())
    except ValueError:
        return False
    book = cache.books(SCANS[-1].timestamp_us)
    assert all(isinstance(b, Book) and -1.0 <= b.imbalance_5 <= 1.0 for b in book.values())
    for quote in cache.quotes(2**62).values():
        assert 0.0 < quote.bid <= quote.ask < math.inf, quote
    trade(portfolio, msgspec.structs.replace(SCANS[-1]), book=book)
    return bool(book)


def _factors() -> dict:
    at = from_us(SCANS[-1].timestamp_us - 60_000_000).isoformat()
    reading = {"value": 0.0001, "unit": "1", "event_time": at, "fetch_time": at, "lifetime_s": 3600}
    funding = {a: {**reading, "interval_h": 8.0} for a in SCANS[-1].assets[:6]}
    dvol = {**reading, "value": 60.0, "percentile_90": 70.0}
    return {"readings": {"funding": funding, "dvol_btc": dvol}, "_pushed_at": at}


FACTORS = _factors()
FACTOR_PATHS = paths(FACTORS)


def factors_document(choose: Choose) -> bool:
    cache = FactorCache()
    try:
        cache.update(msgspec.json.encode(mutate(FACTORS, FACTOR_PATHS, choose)).decode())
    except ValueError:
        return False
    factors = cache.at(SCANS[-1].timestamp_us)
    trade(warm_portfolio(), msgspec.structs.replace(SCANS[-1]), factors=factors)
    return bool(factors.funding or factors.dvol_btc)


TARGETS = {f.__name__: f for f in (
    scan_document, scan_file, safety_document, books_document, factors_document)}  # fmt: skip
