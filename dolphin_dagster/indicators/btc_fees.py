"""Recommended Bitcoin transaction fees, in satoshi per virtual byte: mempool.space.

The source gives no timestamp: a reading is dated at its fetch.
"""

from datetime import timedelta
from typing import Final

import msgspec

from dolphin_dagster.factors.ask import Ask, Observation
from dolphin_dagster.factors.indicator import Indicator, Quantity

PATH: Final = "/api/v1/fees/recommended"
FASTEST: Final = "btc_fee_fastest"
HOUR: Final = "btc_fee_hour"


class Fees(msgspec.Struct, rename="camel"):
    """The answer."""

    fastest_fee: float
    hour_fee: float


def fetch(ask: Ask) -> list[Observation]:
    """Return the fees for confirmation in the next block and within the hour."""
    fees = ask.json(PATH, Fees)
    if fees.hour_fee > fees.fastest_fee:
        raise ask.changed(PATH, "hourFee", fees.hour_fee, f"at most fastestFee {fees.fastest_fee}")
    return [
        Observation(name=FASTEST, value=fees.fastest_fee, event_time=ask.now),
        Observation(name=HOUR, value=fees.hour_fee, event_time=ask.now),
    ]


def _quantity(name: str) -> Quantity:
    return Quantity(
        name=name, unit="sat/vB", lifetime=timedelta(minutes=15),
        possible=(0.1, 10_000.0), usual=(0.1, 500.0), jump=20.0,
    )  # fmt: skip


INDICATOR: Final = Indicator(
    name="btc_fees",
    host="mempool",
    path=PATH,
    means="How crowded Bitcoin's blocks are. Reported; no gate of the signal reads it.",
    quantities=(_quantity(FASTEST), _quantity(HOUR)),
    event_age_max=timedelta(minutes=10),
    cron="4-59/5 * * * *",
    cadence=timedelta(minutes=5),
    fetch=fetch,
)
