"""Bitcoin's hash rate over the last blocks, in exahashes a second: mempool.space.

The source gives no timestamp: a reading is dated at its fetch.
"""

from datetime import timedelta
from typing import Final

import msgspec

from dolphin_dagster.factors.ask import Ask, Observation
from dolphin_dagster.factors.indicator import Indicator, Quantity

PATH: Final = "/api/v1/mining/hashrate/3d"
NAME: Final = "btc_hash_rate"
HASHES: Final = 1e18


class HashRate(msgspec.Struct, rename="camel"):
    """What is read of the answer, in hashes a second."""

    current_hashrate: float


def fetch(ask: Ask) -> list[Observation]:
    """Return the current rate."""
    rate = ask.json(PATH, HashRate).current_hashrate
    return [Observation(name=NAME, value=rate / HASHES, event_time=ask.now)]


INDICATOR: Final = Indicator(
    name=NAME,
    host="mempool",
    path=PATH,
    means="Work put into Bitcoin's blocks. Reported; no gate of the signal reads it.",
    quantities=(
        Quantity(
            name=NAME, unit="EH/s", lifetime=timedelta(days=1),
            possible=(50.0, 50_000.0), usual=(100.0, 10_000.0), jump=1.5,
        ),
    ),
    event_age_max=timedelta(minutes=10),
    cron="41 * * * *",
    cadence=timedelta(hours=1),
    fetch=fetch,
)  # fmt: skip
