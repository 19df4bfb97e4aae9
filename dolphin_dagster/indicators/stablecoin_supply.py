"""Dollar stablecoins in circulation, all and Tether alone, in USD: DefiLlama.

The source gives no timestamp: a reading is dated at its fetch.
"""

import math
from datetime import timedelta
from typing import Final

import msgspec

from dolphin_dagster.factors.ask import Ask, Observation
from dolphin_dagster.factors.indicator import Indicator, Quantity

PATH: Final = "/stablecoins"
ALL: Final = "stablecoin_supply"
TETHER: Final = "usdt_supply"
BIG: Final = "USDC"
UNKNOWN_MAX: Final = 0.1
"""Up to this share of the coins may have no number; USDT and USDC must have one."""
DOLLAR: Final = "peggedUSD"


class Coin(msgspec.Struct, rename="camel"):
    """One coin; circulation by what it is pegged to, in units of that; null where unknown."""

    symbol: str
    peg_type: str
    circulating: dict[str, float | None]


class Answer(msgspec.Struct, rename="camel"):
    """The answer."""

    pegged_assets: list[Coin]


def fetch(ask: Ask) -> list[Observation]:
    """Return both sums."""
    coins = [c for c in ask.json(PATH, Answer, includePrices="true").pegged_assets
             if c.peg_type == DOLLAR]  # fmt: skip
    if not coins:
        raise ask.nothing(PATH, "no coin pegged to the dollar")
    tether = [c.circulating.get(DOLLAR) for c in coins if c.symbol == "USDT"]
    if len(tether) != 1 or tether[0] is None:
        raise ask.changed(PATH, "circulating of USDT", tether, "one number")
    unknown = [c.symbol for c in coins if c.circulating.get(DOLLAR) is None]
    if BIG in unknown or len(unknown) > UNKNOWN_MAX * len(coins):
        raise ask.changed(PATH, "circulating", unknown, "a number of each large coin")
    negative = [c.symbol for c in coins if (c.circulating.get(DOLLAR) or 0.0) < 0.0]
    if negative:
        raise ask.changed(PATH, "circulating", negative, "no negative supply")
    ask.left_out += unknown
    supply = math.fsum(c.circulating.get(DOLLAR) or 0.0 for c in coins)
    return [
        Observation(name=ALL, value=supply, event_time=ask.now),
        Observation(name=TETHER, value=tether[0], event_time=ask.now),
    ]


def _quantity(name: str, lowest: float) -> Quantity:
    return Quantity(
        name=name, unit="USD", lifetime=timedelta(hours=6),
        possible=(lowest, 1e13), usual=(lowest * 2, 2e12), jump=1.05,
    )  # fmt: skip


INDICATOR: Final = Indicator(
    name=ALL,
    host="llama",
    path=PATH,
    means="Dollar stablecoins in circulation. Reported; no gate of the signal reads it.",
    quantities=(_quantity(ALL, 2e10), _quantity(TETHER, 1e10)),
    event_age_max=timedelta(minutes=10),
    cron="21 * * * *",
    cadence=timedelta(hours=1),
    fetch=fetch,
)
