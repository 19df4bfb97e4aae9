"""Bitcoin's share of the value of all coins, in percent: CoinGecko."""

from datetime import timedelta
from typing import Final

import msgspec

from dolphin_dagster.factors.ask import Ask, Observation
from dolphin_dagster.factors.indicator import DIFFERENCE, Indicator, Quantity

PATH: Final = "/api/v3/global"
NAME: Final = "btc_dominance"


class Data(msgspec.Struct):
    """What is read of the answer."""

    market_cap_percentage: dict[str, float]
    updated_at: int


class Answer(msgspec.Struct):
    """The answer's envelope."""

    data: Data


def fetch(ask: Ask) -> list[Observation]:
    """Return Bitcoin's share."""
    data = ask.json(PATH, Answer).data
    if "btc" not in data.market_cap_percentage:
        raise ask.changed(
            PATH, "market_cap_percentage", sorted(data.market_cap_percentage), "one of btc"
        )
    at = ask.seconds(PATH, "updated_at", data.updated_at)
    return [Observation(name=NAME, value=data.market_cap_percentage["btc"], event_time=at)]


INDICATOR: Final = Indicator(
    name=NAME,
    host="coingecko",
    path=PATH,
    means="Bitcoin against the rest. Reported; no gate of the signal reads it.",
    quantities=(
        Quantity(
            name=NAME, unit="%", lifetime=timedelta(hours=1),
            possible=(5.0, 100.0), usual=(30.0, 80.0), jump=3.0, jump_kind=DIFFERENCE,
        ),
    ),
    event_age_max=timedelta(hours=1),
    cron="4-59/10 * * * *",
    cadence=timedelta(minutes=10),
    fetch=fetch,
)  # fmt: skip
