"""Trading permission at a scan: the posture in force, and the trader's own entry block."""

import msgspec

from dolphin_realtime.model.risk.posture import Posture


class TradingPermission(msgspec.Struct, frozen=True, kw_only=True):
    """What the trader may do at one scan, whatever the signal.

    Attributes:
        posture: The posture of the safety service, or the trader's own if stricter.
        entry_block: Reason why nothing may be opened or enlarged, or None.
    """

    posture: Posture = Posture.NORMAL
    entry_block: str | None = None
