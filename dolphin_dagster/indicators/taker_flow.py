"""Share of taker volume that bought, of a few perpetuals over five minutes: Binance."""

from datetime import timedelta
from typing import Final

import msgspec

from dolphin_dagster.factors.ask import Ask, Observation
from dolphin_dagster.factors.indicator import DIFFERENCE, Indicator, Quantity

PATH: Final = "/futures/data/takerlongshortRatio"
NAME: Final = "taker_buy_share"
RATIO_APART: Final = 0.01
"""The source rounds its ratio to four places; a larger difference means that a unit changed."""


class Taker(msgspec.Struct, rename="camel"):
    """One row of the answer; volumes in units of the base asset."""

    buy_sell_ratio: str
    buy_vol: str
    sell_vol: str
    timestamp: str | int


def fetch(ask: Ask) -> list[Observation]:
    """Return the newest share of each symbol of the settings."""
    found = []
    for symbol in ask.symbols:
        rows = ask.json(PATH, list[Taker], symbol=symbol, period="5m", limit=1)
        if not rows:
            raise ask.nothing(PATH, f"no row of {symbol}")
        found.append(read(ask, symbol, rows[-1]))
    return found


def read(ask: Ask, symbol: str, row: Taker) -> Observation:
    """Return one symbol's share; volumes and ratio must agree."""
    bought = ask.number(PATH, f"buyVol of {symbol}", row.buy_vol)
    sold = ask.number(PATH, f"sellVol of {symbol}", row.sell_vol)
    ratio = ask.number(PATH, f"buySellRatio of {symbol}", row.buy_sell_ratio)
    if bought < 0.0 or sold < 0.0:
        raise ask.changed(PATH, f"buyVol of {symbol}", row.buy_vol, "volumes that are not negative")
    if bought + sold == 0.0:
        raise ask.nothing(PATH, f"no taker volume of {symbol}")
    if abs(ratio * sold - bought) > RATIO_APART * (bought + sold):
        raise ask.changed(
            PATH, f"buySellRatio of {symbol}", row.buy_sell_ratio, f"{bought} over {sold}"
        )
    at = ask.milliseconds(PATH, f"timestamp of {symbol}", row.timestamp)
    return Observation(name=NAME, asset=symbol, value=bought / (bought + sold), event_time=at)


INDICATOR: Final = Indicator(
    name="taker_flow",
    host="binance",
    path=PATH,
    means="Which side crosses the spread. Reported; no gate of the signal reads it.",
    quantities=(
        Quantity(
            name=NAME, unit="share of volume", lifetime=timedelta(minutes=15),
            possible=(0.0, 1.0), usual=(0.1, 0.9), jump=0.5, jump_kind=DIFFERENCE,
        ),
    ),
    event_age_max=timedelta(minutes=20),
    cron="3-59/5 * * * *",
    cadence=timedelta(minutes=5),
    fetch=fetch,
    is_per_symbol=True,
)  # fmt: skip
