"""Hours between funding settlements of each perpetual, 8 unless Binance lists another interval."""

from datetime import timedelta
from typing import Final

import msgspec

from dolphin_dagster.factors.ask import Ask, Observation
from dolphin_dagster.factors.indicator import DIFFERENCE, Indicator, Quantity
from dolphin_realtime.model.factors.document import FUNDING_INTERVAL
from dolphin_realtime.model.portfolio.funding import INTERVAL_H

PATH: Final = "/fapi/v1/fundingInfo"


class Info(msgspec.Struct, rename="camel"):
    """One row of the answer."""

    symbol: str
    funding_interval_hours: int


def fetch(ask: Ask) -> list[Observation]:
    """Return the interval of each asset of the newest scan; one that is not listed has 8 hours."""
    ask.learn_limit()
    rows, refused = ask.rows(PATH, Info)
    ask.left_out += map(str, refused.values())
    hours = {symbol: float(row.funding_interval_hours) for symbol, row in rows.items()}
    return [
        Observation(
            name=FUNDING_INTERVAL,
            asset=asset,
            value=hours.get(asset, INTERVAL_H),
            event_time=ask.now,
        )
        for asset in ask.assets
        if asset not in refused
    ]


INDICATOR: Final = Indicator(
    name="funding_interval",
    host="binance",
    path=PATH,
    means=(
        "How often each perpetual settles its funding. It scales the gate *funding* and says at "
        "which hours the trader books it; 8 hours where nothing is known."
    ),
    quantities=(
        Quantity(
            name=FUNDING_INTERVAL, unit="h", lifetime=timedelta(days=3),
            possible=(1.0, 24.0), usual=(1.0, 8.0), jump=4.0, jump_kind=DIFFERENCE,
        ),
    ),
    event_age_max=timedelta(minutes=10),
    cron="4 */6 * * *",
    cadence=timedelta(hours=6),
    fetch=fetch,
    is_weighed=True,
)  # fmt: skip
