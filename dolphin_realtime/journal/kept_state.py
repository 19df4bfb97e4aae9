"""The saved portfolio in the journal: only the parts in which it differs from the last are written.

With many assets it is hundreds of kilobytes a scan, of which names, instruments and what did not move
stay the same. A part that is not written is a page that is not dirty.
"""

import sqlite3
from typing import Final

PART: Final = 1024
_WRITE: Final = "INSERT OR REPLACE INTO state VALUES (0, ?)"


class KeptState:
    """The saved portfolio as the database holds it, as far as that is known."""

    def __init__(self) -> None:
        self._held = self._written = b""

    def write(self, db: sqlite3.Connection, saved: bytes) -> None:
        """Write a saved portfolio, once in a transaction; `committed` or `failed` follows."""
        if len(self._held) != len(saved):
            db.execute(_WRITE, (saved,))
        else:
            if not db.in_transaction:
                db.execute("BEGIN")
            with db.blobopen("state", "desk", 0) as blob:
                for at in changed_parts(self._held, saved):
                    blob.seek(at)
                    blob.write(saved[at : at + PART])
        self._written = saved

    def committed(self) -> None:
        """Note that the database holds what was written, if anything was."""
        self._held, self._written = self._written or self._held, b""

    def failed(self) -> None:
        """Note that it is not known what the database holds: the next is written whole."""
        self._held = self._written = b""


def changed_parts(before: bytes, after: bytes) -> list[int]:
    """Return where the parts begin in which two texts of one length differ."""
    return [
        at for at in range(0, len(after), PART) if before[at : at + PART] != after[at : at + PART]
    ]
