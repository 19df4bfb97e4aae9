"""What came to a trader by the wall clock, as its journal holds it: an input like a price.

Reading it back belongs here, so that a recorded day can be traded again under the same postures
and blocks: whatever differs then has another cause.
"""

from pathlib import Path

import msgspec

from dolphin_realtime.journal.database import reading
from dolphin_realtime.model.risk.permission import TradingPermission
from dolphin_realtime.model.risk.posture import Posture


class Allowed(msgspec.Struct, frozen=True):
    """What a trader was allowed at one scan; ``is_acted_on`` False: it came too late to act on."""

    limits: TradingPermission
    is_acted_on: bool


def read_inputs(journal: Path) -> dict[int, Allowed]:
    """Return what was allowed at each scan that a journal's trader handled, by its instant.

    Raises:
        JournalError: If there is no journal.
    """
    query = "SELECT timestamp_us, posture, entry_block, is_acted_on FROM equity"
    with reading(journal) as db:
        return {
            at: Allowed(TradingPermission(posture=Posture(posture), entry_block=block), bool(acted))
            for at, posture, block, acted in db.execute(query)
        }
