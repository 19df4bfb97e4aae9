"""Which prices of a scan may be used: one rule for signal, sizing, fills, marking and equity.

A price that is implausible or stale is not used anywhere. Whether a price is sound belongs here;
what happens to an asset without a sound price is up to the callers. The rule is written in
docs/signal.md. Prices are quote per unit of base, moves logarithmic, instants microseconds.
"""

import math
from typing import ClassVar, Final, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from dolphin_realtime.model.signal.slots import Floats, Ints, SlotArrays, Slots

FAR_MOVE: Final = math.log(1.2)
"""A move beyond this within a minute is far; the bound grows with the square root of the time."""
NEAR: Final = 1.19
"""Ratios within this are not far moves, whatever the rounding of a logarithm."""
FAR_US: Final = 60 * 1_000_000
NEVER_MOVE: Final = math.log(5.0)
"""A move of at least this needs an operator's confirmation: redenomination, a reused ticker."""
CONFIRMATIONS: Final = 3
STILL_US: Final = 1800 * 1_000_000
FORGET_US: Final = 7 * 86_400 * 1_000_000
NEVER_US: Final = -(2**62)


class Verdict(msgspec.Struct, frozen=True):
    """The classification of a scan's prices, one entry per listed asset.

    Attributes:
        sound: The price may be used.
        doubtful: The price is far from the last sound one and not confirmed.
        still: The price has not changed for long, while others have.
        is_leap: Whether the whole market moved: most known assets moved far.
    """

    sound: NDArray[np.bool_]
    doubtful: NDArray[np.bool_]
    still: NDArray[np.bool_]
    is_leap: bool


class SoundPrices(SlotArrays):
    """The state by which each asset's next price is judged.

    Attributes:
        price: Last sound price, 0 before the first.
        sound_us: When the price was last sound.
        changed_us: When the price last changed.
        waiting: A far price that waits for confirmation, 0 if there is none.
        count: How many times in a row a price near ``waiting`` was seen.
        seen_us: When the asset last had a usable price.
    """

    FLOATS: ClassVar = {"price": 0.0, "waiting": 0.0}
    INTS: ClassVar = {"sound_us": NEVER_US, "changed_us": NEVER_US, "count": 0, "seen_us": NEVER_US}

    price: Floats
    waiting: Floats
    sound_us: Ints
    changed_us: Ints
    count: Ints
    seen_us: Ints

    def judge(
        self, names: list[str], prices: Floats, usable: NDArray[np.bool_], now_us: int, n_min: int
    ) -> Verdict | None:
        """Judge a scan's prices and remember them; return None if all are sound (the usual case).

        Args:
            names: The listed assets, distinct.
            prices: Their prices.
            usable: Which are finite and above 0.
            now_us: The scan's instant, later than the last one judged.
            n_min: Least number of assets from which the market's move is judged.
        """
        slots = self.slots_of(names)
        self._forget(now_us)
        if usable.all() and self._are_all_sound(slots, prices, now_us):
            return None
        at = np.arange(slots.stop) if isinstance(slots, slice) else slots
        self.seen_us[at[usable]] = now_us
        known = usable & (self.price[slots] > 0.0)
        move = np.abs(log_returns(prices, self.price[slots], where=known))
        is_leap, doubtful = self._doubtful(at, prices, known, move, now_us, n_min)
        candidate = usable & ~doubtful if doubtful.any() else usable
        changed = candidate & (prices != self.price[slots])
        changed_us = np.where(changed, now_us, self.changed_us[slots])
        is_old = now_us - changed_us > STILL_US
        still = candidate & is_old
        if still.any() and int((candidate & ~is_old).sum()) < n_min:
            still[:] = False
        sound = candidate & ~still
        self._remember(slots, at, sound, prices, changed_us, now_us)
        return Verdict(sound, doubtful, still, is_leap)

    def set_price(self, asset: str, price: float, now_us: int) -> None:
        """Set an asset's last sound price; its next price is judged against it."""
        slot = self.slot(asset)
        if slot is not None:
            self.price[slot] = price
            self.sound_us[slot] = self.changed_us[slot] = now_us
            self.waiting[slot], self.count[slot] = 0.0, 0

    def _are_all_sound(self, slots: Slots, prices: Floats, now_us: int) -> bool:
        """Return whether all prices of a scan are plainly sound; remember them if so."""
        price, changed_us = self.price[slots], self.changed_us[slots]
        if not (isinstance(slots, slice) and len(price) and price.all()):
            return False
        ratio = prices / price
        if ratio.max() >= NEAR or ratio.min() <= 1.0 / NEAR:
            return False
        changed_us[prices != price] = now_us
        if now_us - int(changed_us.min(initial=now_us)) > STILL_US:
            return False
        price[:], self.sound_us[slots], self.seen_us[slots] = prices, now_us, now_us
        if self.count[slots].any():
            self.waiting[slots], self.count[slots] = 0.0, 0
        return True

    def last_sound_us(self, asset: str) -> int | None:
        """Return when an asset's price was last sound, None if it never was."""
        slot = self.slot(asset)
        return int(self.sound_us[slot]) if slot is not None and self.price[slot] > 0.0 else None

    def waits_at(self, asset: str) -> float | None:
        """Return an asset's price that waits for confirmation, None if there is none."""
        slot = self.slot(asset)
        return float(self.waiting[slot]) or None if slot is not None else None

    def _forget(self, now_us: int) -> None:
        if now_us - int(self.seen_us.min(initial=now_us)) > FORGET_US:
            self.clear(now_us - self.seen_us > FORGET_US)

    def _doubtful(
        self,
        at: NDArray[np.intp],
        prices: Floats,
        known: NDArray[np.bool_],
        move: Floats,
        now_us: int,
        n_min: int,
    ) -> tuple[bool, NDArray[np.bool_]]:
        """Return whether the whole market moved, and which far prices are not confirmed yet."""
        doubtful = known & (move > FAR_MOVE)
        if not doubtful.any():
            return False, doubtful
        age_us = np.maximum(now_us - self.sound_us[at], FAR_US)
        far = known & ((move > FAR_MOVE * np.sqrt(age_us / FAR_US)) | (move >= NEVER_MOVE))
        n_known = int(known.sum())
        is_leap = n_known >= n_min and 2 * int(far.sum()) > n_known
        waits = far & (move >= NEVER_MOVE) if is_leap else far
        slots, price = at[waits], prices[waits]
        held = self.waiting[slots]
        near = np.abs(log_returns(price, held, where=held > 0.0)) <= FAR_MOVE
        self.count[slots] = np.where(near & (held > 0.0), self.count[slots] + 1, 1)
        self.waiting[slots] = price
        doubtful = waits.copy()
        doubtful[waits] = (self.count[slots] < CONFIRMATIONS) | (move[waits] >= NEVER_MOVE)
        return is_leap, doubtful

    def _remember(
        self,
        slots: Slots,
        at: NDArray[np.intp],
        sound: NDArray[np.bool_],
        prices: Floats,
        changed_us: Ints,
        now_us: int,
    ) -> None:
        where: Slots = slots
        if not sound.all():
            where, prices, changed_us = at[sound], prices[sound], changed_us[sound]
        self.price[where], self.sound_us[where] = prices, now_us
        self.changed_us[where] = changed_us
        self.waiting[where], self.count[where] = 0.0, 0


def log_returns(
    prices: Floats, last: Floats, where: NDArray[np.bool_] | Literal[True] = True
) -> Floats:
    """Return ln(price / last) of prices above 0; finite even if the quotient overflows.

    Args:
        prices: Prices now.
        last: Prices before.
        where: Which assets to compute; the others get 0.
    """
    out = np.zeros(len(prices))
    with np.errstate(all="ignore"):
        np.log(prices / last, out=out, where=where)
        if not np.isfinite(out).all():
            np.subtract(np.log(prices), np.log(last), out=out, where=where)
    return out
