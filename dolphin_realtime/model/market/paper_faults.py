"""What goes wrong at the simulated venue on purpose, so that every outcome is met on paper. Pure.

Which order it hits is a function of the order alone: a day that is traded again, by a trader that
was killed or by a backtest, meets the same faults. All shares are 0 unless set.
"""

import hashlib
from enum import StrEnum
from typing import Annotated

import msgspec

from dolphin_realtime.model.orders import InFlight

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class Fault(StrEnum):
    """What happens to an order.

    REJECT: the venue refuses it. PARTIAL: half of it fills, the rest expires. UNKNOWN_FILLED:
    nobody knows whether it arrived, then it fills. UNKNOWN_NEVER: it never arrived.
    """

    REJECT = "reject"
    PARTIAL = "partial"
    UNKNOWN_FILLED = "unknown_filled"
    UNKNOWN_NEVER = "unknown_never"


class PaperFaults(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The share of orders that each fault hits, and the seed that chooses them."""

    reject_share: Share = 0.0
    partial_share: Share = 0.0
    unknown_filled_share: Share = 0.0
    unknown_never_share: Share = 0.0
    fault_seed: int = 1

    @property
    def is_any(self) -> bool:
        """Whether anything goes wrong on purpose."""
        return self != PaperFaults(fault_seed=self.fault_seed)

    @property
    def told(self) -> str:
        """What goes wrong on purpose, for a person."""
        shares = msgspec.structs.asdict(self)
        return ", ".join(
            f"{name.removesuffix('_share')} {100 * share:g} %"
            for name, share in shares.items()
            if name.endswith("_share") and share
        )

    def of(self, order: InFlight) -> Fault | None:
        """Return what hits an order, None nearly always."""
        if not self.is_any:
            return None
        shares = (
            (Fault.REJECT, self.reject_share),
            (Fault.PARTIAL, self.partial_share),
            (Fault.UNKNOWN_FILLED, self.unknown_filled_share),
            (Fault.UNKNOWN_NEVER, self.unknown_never_share),
        )
        text = f"{self.fault_seed} {order.decided_us} {order.order.asset} {order.order.leg}"
        drawn = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest()) / 2**64
        for fault, share in shares:
            if drawn < share:
                return fault
            drawn -= share
        return None
