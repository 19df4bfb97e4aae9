"""Faults injected at the simulated venue, so that paper trading meets every outcome. Pure.

Which order a fault hits depends on the order alone: a day traded again, after a crash or in a
backtest, meets the same faults. All shares are 0 unless set.
"""

import hashlib
from enum import StrEnum
from typing import Annotated

import msgspec

from dolphin_realtime.model.orders import InFlight

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class Fault(StrEnum):
    """The fault that hits an order.

    REJECT: the venue refuses it. PARTIAL: half of it fills, the rest expires. UNKNOWN_FILLED:
    its state is unknown, then it fills. UNKNOWN_NEVER: its state is unknown, and it never arrived.
    """

    REJECT = "reject"
    PARTIAL = "partial"
    UNKNOWN_FILLED = "unknown_filled"
    UNKNOWN_NEVER = "unknown_never"


class PaperFaults(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The share of orders that each fault hits, and the seed that chooses them.

    Attributes:
        reject_share: Refused by the venue.
        partial_share: Half of it fills, the rest expires.
        unknown_filled_share: It is not known whether the venue has it, until it fills.
        unknown_never_share: It is not known whether the venue has it, and it never arrived.
        fault_seed: Seed that chooses which orders fail.
    """

    reject_share: Share = 0.0
    partial_share: Share = 0.0
    unknown_filled_share: Share = 0.0
    unknown_never_share: Share = 0.0
    fault_seed: int = 1

    @property
    def is_any(self) -> bool:
        """Whether any fault is set."""
        return self != PaperFaults(fault_seed=self.fault_seed)

    @property
    def told(self) -> str:
        """The faults that are set, as text for a person."""
        shares = msgspec.structs.asdict(self)
        return ", ".join(
            f"{name.removesuffix('_share')} {100 * share:g} %"
            for name, share in shares.items()
            if name.endswith("_share") and share
        )

    def of(self, order: InFlight) -> Fault | None:
        """Return the fault that hits an order, None if there is none."""
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
