"""Funding rate and mark price of every traded perpetual: Binance's premium index.

The rate is a fraction of the position's value per funding interval, positive = longs pay. The
past comes from the settlements themselves (`fundingRate`).
"""

import itertools
from datetime import datetime, timedelta
from typing import Final

import msgspec

from dolphin_dagster.factors.ask import REFUSED_MAX, Ask, Observation
from dolphin_dagster.factors.indicator import DIFFERENCE, History, Indicator, Quantity
from dolphin_dagster.factors.pages import rows_by_instant
from dolphin_realtime.model.errors import SourceFormatChanged
from dolphin_realtime.model.factors.document import FUNDING

PATH: Final = "/fapi/v1/premiumIndex"
PAST: Final = "/fapi/v1/fundingRate"
PAGE: Final = 1000
HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)
MARK_PRICE: Final = "mark_price"
INTEREST: Final = (1e-5, 0.005)
"""Bounds of Binance's interest rate per settlement (0.03 % a day) unless 0; else a unit changed."""
INDEX_APART: Final = 2.0


class Premium(msgspec.Struct, rename="camel"):
    """One row of the answer; numbers are texts."""

    symbol: str
    mark_price: str
    index_price: str
    last_funding_rate: str
    interest_rate: str
    next_funding_time: int
    time: int


class Settlement(msgspec.Struct, rename="camel"):
    """One row of the past."""

    symbol: str
    funding_rate: str
    funding_time: int


def fetch(ask: Ask) -> list[Observation]:
    """Return rate and mark price of each asset of the newest scan that the venue knows."""
    ask.learn_limit()
    rows, refused = ask.rows(PATH, Premium)
    listed = rows.keys() | refused.keys()
    ask.left_out += [f"{asset} is not listed" for asset in ask.assets if asset not in listed]
    found: list[Observation] = []
    for symbol, row in rows.items():
        try:
            found += read(ask, row)
        except SourceFormatChanged as e:
            refused[symbol] = e
    if len(refused) > REFUSED_MAX * len(ask.assets):
        raise next(iter(refused.values()))
    ask.left_out += map(str, refused.values())
    return found


def read(ask: Ask, row: Premium) -> list[Observation]:
    """Return one asset's rate and mark price."""
    interest = ask.number(PATH, f"interestRate of {row.symbol}", row.interest_rate)
    if interest != 0.0 and not INTEREST[0] <= interest <= INTEREST[1]:
        raise ask.changed(
            PATH, f"interestRate of {row.symbol}", row.interest_rate,
            f"0, or {INTEREST[0]} to {INTEREST[1]}",
        )  # fmt: skip
    mark = ask.number(PATH, f"markPrice of {row.symbol}", row.mark_price)
    index = ask.number(PATH, f"indexPrice of {row.symbol}", row.index_price)
    if index > 0.0 and not 1 / INDEX_APART <= mark / index <= INDEX_APART:
        raise ask.changed(PATH, f"markPrice of {row.symbol}", row.mark_price, f"near index {index}")
    rate = ask.number(PATH, f"lastFundingRate of {row.symbol}", row.last_funding_rate)
    at = ask.milliseconds(PATH, f"time of {row.symbol}", row.time)
    field = f"nextFundingTime of {row.symbol}"
    after = ask.milliseconds(PATH, field, row.next_funding_time) if row.next_funding_time else None
    return [
        Observation(name=FUNDING, asset=row.symbol, value=rate, event_time=at, next_time=after),
        Observation(name=MARK_PRICE, asset=row.symbol, value=mark, event_time=at),
    ]


def past(ask: Ask, first: datetime, last: datetime) -> list[Observation]:
    """Return every settlement in [first, last) of the assets of the newest scan."""
    ask.learn_limit()
    return [one for asset in ask.assets for one in settlements(ask, asset, first, last)]


def settlements(ask: Ask, asset: str, first: datetime, last: datetime) -> list[Observation]:
    """Return one asset's settlements in [first, last), each with the hours since the one before."""
    rows = rows_by_instant(
        ask, PAST, list[Settlement],
        lambda row: ask.milliseconds(PAST, f"fundingTime of {asset}", row.funding_time),
        asset, first - DAY, last, limit=PAGE,
    )  # fmt: skip
    rates = {
        at: ask.number(PAST, f"fundingRate of {asset}", row.funding_rate)
        for at, row in rows.items()
    }
    return [
        Observation(name=FUNDING, asset=asset, value=rates[at], event_time=at, interval_h=hours)
        for at, hours in intervals(sorted(rates)).items()
        if first <= at < last
    ]


def intervals(times: list[datetime]) -> dict[datetime, float | None]:
    """Return whole hours between each settlement and the one before; the first as the second."""
    gaps = [round((b - a) / HOUR) for a, b in itertools.pairwise(times)]
    hours = [float(gap) if 1 <= gap <= DAY / HOUR else None for gap in gaps]
    return dict(zip(times, [*hours[:1], *hours] if hours else [None] * len(times), strict=True))


INDICATOR: Final = Indicator(
    name="funding",
    host="binance",
    path=PATH,
    means=(
        "What holding each perpetual costs or earns. The signal reduces a direction that would pay "
        "much funding (gate *funding*); the trader books funding at settlements."
    ),
    quantities=(
        Quantity(
            name=FUNDING, unit="fraction per interval", lifetime=timedelta(hours=16),
            possible=(-0.05, 0.05), usual=(-0.005, 0.005), jump=0.005, jump_kind=DIFFERENCE,
        ),
        Quantity(
            name=MARK_PRICE, unit="USDT", lifetime=timedelta(hours=16),
            possible=(1e-9, 1e8), usual=(1e-9, 1e7), jump=1.5,
        ),
    ),
    event_age_max=timedelta(minutes=10),
    cron="*/5 * * * *",
    cadence=timedelta(minutes=5),
    fetch=fetch,
    is_weighed=True,
    history=History(
        fetch=past,
        lifetime=timedelta(hours=16),
        means="Funding settlements of the assets of the newest scan, one row a settlement.",
    ),
)  # fmt: skip
