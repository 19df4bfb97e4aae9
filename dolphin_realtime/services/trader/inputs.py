"""A trader's wall-clock inputs, from its journal: posture and entry block of each scan.

Reading them back belongs here, so that a recorded day can be traded again with the same postures
and blocks; any difference in the result then has another cause.
"""

from pathlib import Path

import msgspec

from dolphin_realtime.journal.database import reading
from dolphin_realtime.model.risk.permission import TradingPermission
from dolphin_realtime.model.risk.posture import Posture


class Allowed(msgspec.Struct, frozen=True):
    """The permission at one scan; ``is_acted_on`` is False if the scan was too old to act on."""

    limits: TradingPermission
    is_acted_on: bool


def read_inputs(journal: Path) -> dict[int, Allowed]:
    """Return the permission at each scan that a journal's trader handled, by the scan's instant.

    Raises:
        JournalError: If there is no journal.
    """
    query = "SELECT timestamp_us, posture, entry_block, is_acted_on FROM equity"
    with reading(journal) as db:
        return {
            at: Allowed(TradingPermission(posture=Posture(posture), entry_block=block), bool(acted))
            for at, posture, block, acted in db.execute(query)
        }
