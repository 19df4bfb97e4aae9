"""What a trader may do at a scan: the posture in force, and its own reason to open nothing."""

import msgspec

from dolphin_realtime.model.risk.posture import Posture


class TradingPermission(msgspec.Struct, frozen=True, kw_only=True):
    """What the trader may do at this scan, beside the signal.

    Attributes:
        posture: From the safety service, or the trader's own stricter one.
        entry_block: Reason why nothing may be opened or enlarged, or None.
    """

    posture: Posture = Posture.NORMAL
    entry_block: str | None = None
