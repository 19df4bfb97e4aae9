"""Share of accounts that are long, of a few perpetuals: Binance, all accounts.

The source's own ratio can disagree with its shares of accounts, so the share is taken.
"""

from datetime import timedelta
from typing import Final

import msgspec

from dolphin_dagster.factors.ask import Ask, Observation
from dolphin_dagster.factors.indicator import DIFFERENCE, Indicator, Quantity

PATH: Final = "/futures/data/globalLongShortAccountRatio"
NAME: Final = "long_accounts"
SUM_APART: Final = 0.002
"""The two shares are rounded to four places and sum to 1."""


class Accounts(msgspec.Struct, rename="camel"):
    """One row of the answer."""

    symbol: str
    long_account: str
    short_account: str
    timestamp: str | int


def fetch(ask: Ask) -> list[Observation]:
    """Return the newest share of each symbol of the settings."""
    found = []
    for symbol in ask.symbols:
        rows = ask.json(PATH, list[Accounts], symbol=symbol, period="5m", limit=1)
        if not rows:
            raise ask.nothing(PATH, f"no row of {symbol}")
        if rows[-1].symbol != symbol:
            raise ask.changed(PATH, "symbol", rows[-1].symbol, symbol)
        long = ask.number(PATH, f"longAccount of {symbol}", rows[-1].long_account)
        short = ask.number(PATH, f"shortAccount of {symbol}", rows[-1].short_account)
        if abs(long + short - 1.0) > SUM_APART:
            raise ask.changed(
                PATH, f"longAccount of {symbol}", rows[-1].long_account, f"1 less short {short}"
            )
        at = ask.milliseconds(PATH, f"timestamp of {symbol}", rows[-1].timestamp)
        found.append(Observation(name=NAME, asset=symbol, value=long, event_time=at))
    return found


INDICATOR: Final = Indicator(
    name="long_short_accounts",
    host="binance",
    path=PATH,
    means="Share of accounts with a position that are long. Reported; no gate reads it.",
    quantities=(
        Quantity(
            name=NAME, unit="share of accounts", lifetime=timedelta(minutes=15),
            possible=(0.0, 1.0), usual=(0.2, 0.9), jump=0.1, jump_kind=DIFFERENCE,
        ),
    ),
    event_age_max=timedelta(minutes=20),
    cron="2-59/5 * * * *",
    cadence=timedelta(minutes=5),
    fetch=fetch,
    is_per_symbol=True,
)  # fmt: skip
