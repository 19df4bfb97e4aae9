"""The intent file: a scan's orders, written before the first one is sent.

One JSON line per scan, appended by one write. Reading intents back after a crash and dropping
those that are in the database belong here; the use of an intent does not (writer.py).
"""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from dolphin_realtime.infra import fault_points, files
from dolphin_realtime.model.orders import InFlight
from dolphin_realtime.model.risk.permission import TradingPermission
from dolphin_realtime.model.risk.posture import Posture


class Intent(msgspec.Struct, frozen=True, kw_only=True):
    """One line: the orders of one scan, and the trading permission when they were decided."""

    epoch: int
    scan_number: int
    orders: list[InFlight]
    posture: Posture = Posture.NORMAL
    entry_block: str | None = None

    @property
    def limits(self) -> TradingPermission:
        """The trading permission: it depends on the wall clock, so it is journalled as an input."""
        return TradingPermission(posture=self.posture, entry_block=self.entry_block)


class IntentFile:
    """The intents of one instance, open for appending."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lines = files.JsonLines(path)

    def append(
        self, epoch: int, scan_number: int, orders: Sequence[InFlight], limits: TradingPermission
    ) -> str | None:
        """Append one intent by one write; return why it could not be written, or None."""
        intent = Intent(
            epoch=epoch,
            scan_number=scan_number,
            orders=list(orders),
            posture=limits.posture,
            entry_block=limits.entry_block,
        )
        try:
            self._lines.append(intent)
        except OSError as e:  # a torn line is skipped when the file is read
            return str(e)
        fault_points.reach("intent")
        return None

    def sync(self) -> None:
        """Wait until what was appended is on the disk."""
        self._lines.sync()

    def recover(self, after: tuple[int, int] | None, *, with_last: bool = False) -> list[Intent]:
        """Return the intents later than the last journalled scan, in order; drop the others.

        A line cut off by a crash is skipped: its orders were never sent. ``with_last`` keeps those
        of the last scan as well: a flatten between scans has its key.
        """
        found = [
            intent
            for intent in files.read_lines(self._path, Intent)
            if intent is not None
            and (
                after is None
                or (intent.epoch, intent.scan_number) > after
                or (with_last and (intent.epoch, intent.scan_number) == after)
            )
        ]
        self._rewrite(found)
        return found

    def _rewrite(self, intents: list[Intent]) -> None:
        lines = b"".join(msgspec.json.encode(intent) + b"\n" for intent in intents)
        try:
            files.replace(self._path, lines, is_durable=True)
        except OSError:  # a full disk: the longer old file can stay
            return
        self._lines.close()
        self._lines = files.JsonLines(self._path)

    def close(self) -> None:
        """Close the file."""
        self._lines.close()
