"""Funding settlements: what positions pay or receive, at which instant and at which rate. Pure.

A settlement at T charges the rate that was in force at T. The next settlement is the one that the
reading gives; without one, settlements are at every interval from 00:00 UTC, and the interval is
8 hours if unknown. See docs/architecture.md, Funding.
"""

from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from dolphin_realtime.model.instant import HOUR_US
from dolphin_realtime.model.signal.gates import NO_FACTORS, Factors, Reading

INTERVAL_H: Final = 8.0
HOURS_KEPT: Final = 9
"""Number of whole hours whose positions are remembered, for settlements that are learnt late."""


class FundingCharge(msgspec.Struct, frozen=True, kw_only=True):
    """One settlement of one position; ``amount`` is USDT, positive = paid."""

    settlement_us: int
    asset: str
    quantity: float
    rate: float | None
    amount: float


def may_settle(last_us: int, now_us: int) -> bool:
    """Return whether (last_us, now_us] contains a whole hour: settlements are on whole hours."""
    return last_us > 0 and last_us // HOUR_US != now_us // HOUR_US


class FundingClock(msgspec.Struct):
    """The state that settlements need: rates, last charges and past positions.

    Attributes:
        rates: The reading of each held asset as it was known at the last scan.
        settled: When each asset was last charged.
        hours: By whole hour, (units, price) of each position at the first scan at or after it.
    """

    rates: dict[str, Reading] = {}
    settled: dict[str, int] = {}
    hours: dict[int, dict[str, tuple[float, float]]] = {}

    def settle(
        self,
        held: Mapping[str, float],
        prices: Mapping[str, float],
        factors: Factors | None,
        last_us: int,
        now_us: int,
    ) -> list[FundingCharge]:
        """Return the charges of each settlement in (last_us, now_us] and of late ones, once each.

        Args:
            held: Positions before the first scan at or after the settlement, in units.
            prices: Prices of that scan; for an asset without one, its last price.
            factors: The known rates; an asset without a rate in force pays 0, with rate None.
            last_us: The last scan's instant, 0 before the first.
            now_us: This scan's instant.
        """
        if last_us == 0:
            return []
        known = factors or NO_FACTORS
        charges = self._late(known, last_us)
        if may_settle(last_us, now_us):
            self._remember(held, prices, last_us, now_us)
            for asset, quantity in held.items():
                for at_us in self._instants(asset, known, last_us, now_us):
                    charges.append(
                        self._charge(asset, at_us, quantity, prices.get(asset, 0.0), known)
                    )
        return sorted(charges, key=lambda c: c.settlement_us)

    def learn(self, held: Mapping[str, float], factors: Factors | None) -> None:
        """Remember the known rates of the held assets at a scan."""
        funding = (factors or NO_FACTORS).funding
        self.rates = {a: funding.get(a) or self.rates[a] for a in held
                      if a in funding or a in self.rates}  # fmt: skip

    def _remember(
        self, held: Mapping[str, float], prices: Mapping[str, float], last_us: int, now_us: int
    ) -> None:
        for hour in range(last_us // HOUR_US + 1, now_us // HOUR_US + 1)[-HOURS_KEPT:]:
            self.hours[hour * HOUR_US] = {a: (q, prices.get(a, 0.0)) for a, q in held.items()}
        self.hours = dict(sorted(self.hours.items())[-HOURS_KEPT:])
        self.settled = {
            a: at for a, at in self.settled.items() if a in held or at >= min(self.hours)
        }

    def _instants(self, asset: str, known: Factors, last_us: int, now_us: int) -> Iterator[int]:
        at_us = last_us
        while True:
            schedule = self._before(asset, at_us + 1, known) or known.funding.get(asset)
            at_us = next_settlement(schedule, at_us)
            if at_us > now_us:
                return
            if at_us > self.settled.get(asset, 0):
                yield at_us

    def _late(self, known: Factors, last_us: int) -> list[FundingCharge]:
        """Return charges for past settlements that a new reading reveals."""
        found = []
        for asset in {a for held in self.hours.values() for a in held}:
            reading = known.funding.get(asset)
            if reading is None or reading.fetch_us <= last_us or not reading.next_us:
                continue
            step_us = _interval_us(reading.interval_h)
            at_us = reading.next_us - step_us
            while at_us in self.hours and at_us > self.settled.get(asset, 0):
                is_told_otherwise = self._said_later(asset, at_us, step_us, known)
                if at_us <= last_us and asset in self.hours[at_us] and not is_told_otherwise:
                    found.append((at_us, asset))
                at_us -= step_us
        return [
            self._charge(asset, at_us, *self.hours[at_us][asset], known)
            for at_us, asset in sorted(found)
        ]

    def _said_later(self, asset: str, at_us: int, step_us: int, known: Factors) -> bool:
        """Return whether the venue, shortly before an instant, announced a later settlement."""
        before = self._before(asset, at_us, known)
        if before is None or before.next_us is None:
            return False
        return before.next_us > at_us and at_us - before.fetch_us < step_us

    def _charge(
        self, asset: str, at_us: int, quantity: float, price: float, known: Factors
    ) -> FundingCharge:
        self.settled[asset] = at_us
        rate = self._in_force(asset, at_us, known)
        return FundingCharge(
            settlement_us=at_us,
            asset=asset,
            quantity=quantity,
            rate=rate,
            amount=quantity * price * (rate or 0.0),
        )

    def _in_force(self, asset: str, at_us: int, known: Factors) -> float | None:
        """Return the rate settled at an instant, else the newest one fetched before it."""
        told = self._before(asset, at_us + 1, known)
        if told is not None and told.settled_us == at_us:
            return told.value
        reading = self._before(asset, at_us, known)
        return reading.value if reading is not None and reading.is_current(at_us) else None

    def _before(self, asset: str, at_us: int, known: Factors) -> Reading | None:
        """Return the newest reading of an asset that was fetched before an instant."""
        newest = known.funding.get(asset)
        if newest is not None and newest.fetch_us < at_us:
            return newest
        past = known.past.funding_before(asset, at_us) if known.past is not None else None
        kept = self.rates.get(asset)
        if kept is None or kept.fetch_us >= at_us:
            return past
        return kept if past is None or kept.fetch_us > past.fetch_us else past


def next_settlement(reading: Reading | None, after_us: int) -> int:
    """Return the first settlement after an instant, according to a reading."""
    step_us = _interval_us(reading.interval_h if reading else None)
    known_us = reading.next_us if reading is not None and reading.next_us else 0
    if known_us > after_us:
        return known_us
    return known_us + ((after_us - known_us) // step_us + 1) * step_us


def _interval_us(interval_h: float | None) -> int:
    """Return the interval; one that does not divide the day counts as unknown (8 hours)."""
    is_known = interval_h is not None and interval_h >= 1.0 and (24.0 / interval_h).is_integer()
    return round((interval_h if is_known and interval_h else INTERVAL_H) * HOUR_US)
