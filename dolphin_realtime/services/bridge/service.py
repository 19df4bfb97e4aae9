"""The bridge's loop: ask the reader, put scans in order, publish, write the ledger.

When to look (cadence) and the order of scans belong here; reading is in reader.py, publishing in
publish.py.
"""

import itertools
import time
from collections import deque
from datetime import UTC, datetime
from typing import Final

from dolphin_realtime.infra.trace import Trace
from dolphin_realtime.model.errors import ScanOutOfOrder
from dolphin_realtime.model.instant import to_us
from dolphin_realtime.model.market.cadence import LATE_CADENCES, Cadence
from dolphin_realtime.model.market.scan import document_of, refuse_implausible
from dolphin_realtime.runtime.service_context import ServiceContext
from dolphin_realtime.scans.ledger import Line, ledger_folder
from dolphin_realtime.services.bridge.child import ReaderChild, ReaderOverdue
from dolphin_realtime.services.bridge.ledger import Ledger
from dolphin_realtime.services.bridge.outbox import size_of
from dolphin_realtime.services.bridge.publish import KEPT_BYTES, OUTBOX, Publisher
from dolphin_realtime.services.bridge.reader import Handed, Request
from dolphin_realtime.services.bridge.share_speed import NAME as PACE_FILE
from dolphin_realtime.services.bridge.share_speed import said as pace_said

DENSE_SHARE: Final = 0.5
"""Dense polling starts this share of a cadence (at most DENSE_MAX_S) before the next scan."""
DENSE_MAX_S: Final = 1.0
DESCRIBE_S: Final = 0.5
RECALLED: Final = 100
"""Files that the reader is asked for again at once."""
RECALL_S: Final = 10.0
"""On a slow share the newest must do: new scans wait meanwhile."""
LOOK_S: Final = 1.0
"""Longest single request: the loop runs at least this often."""


class Polling:
    """When to look for the next scan, derived from the intervals of the last scans."""

    def __init__(self, idle_poll_s: float, dense_poll_s: float) -> None:
        self._idle_s, self._dense_s = idle_poll_s, dense_poll_s
        self.cadence = Cadence()

    def poll_s(self, now: float) -> tuple[float, float]:
        """Return (how often to look, for how long) from ``now`` on.

        Polling is dense around the next expected scan, coarse before it, and idle when the scan
        is long overdue.
        """
        cadence, last = self.cadence.seconds, self.cadence.last_s
        if last is None or cadence is None:
            return min(0.05, self._idle_s), LOOK_S
        age = now - last
        dense_from = cadence - min(DENSE_SHARE * cadence, DENSE_MAX_S)
        if age < dense_from:
            return min(0.05, self._idle_s), min(dense_from - age, LOOK_S)
        if age > max(LATE_CADENCES * cadence, self._idle_s):
            return self._idle_s, min(self._idle_s, LOOK_S)
        return self._dense_s, LOOK_S


class Bridge:
    """Bridges one scan folder to the grid; `step` is one unit of work."""

    def __init__(self, context: ServiceContext) -> None:
        s = context.settings
        self._context = context
        self._ledger = Ledger(ledger_folder(s.run_dir), newest=OUTBOX)
        self._child = ReaderChild(s.scans, self._ledger.folder, s.reader_deadline_s)
        self._polling = Polling(s.scan_idle_poll_s, s.scan_dense_poll_s)
        self._publisher = Publisher(context)
        self._trace = Trace(s.trace, "bridge")
        self._pace_file = self._ledger.folder.with_name(PACE_FILE)
        self._last_number = self._ledger.order.scan_number
        self._described_at = -DESCRIBE_S

    async def run(self) -> None:
        """Bridge scans until the service stops."""
        await self._publisher.start()
        self._publisher.remember(await self._last_documents())
        is_ready = False
        try:
            while not self._context.stopping.is_set():
                await self.step()
                if not is_ready:
                    self._context.ready()
                    is_ready = True
                self._context.turn()
        finally:
            await self._child.close()
            self._ledger.close()
            self._trace.write()

    async def step(self) -> None:
        """Look once, publish what was found, add it to the ledger."""
        poll_s, wait_s = self._polling.poll_s(time.monotonic())
        wait_s = 0.05 if self._publisher.has_work else wait_s
        try:
            found = await self._child.ask(Request(wait_s, min(poll_s, max(wait_s, 0.001))))
        except ReaderOverdue as e:
            self._context.counts["reader_replaced"] = self._child.n_replaced
            self._context.set_phase("share_hung", reason=str(e))
            found = []
        else:
            if self._context.phase == "share_hung":
                self._context.set_phase("ready")
        lines, documents = self._take(found)
        if documents or self._publisher.has_work:
            went = await self._publisher.send(documents)
            if went and self._context.phase == "grid_away":
                self._context.set_phase("ready")
        for line in lines:
            self._ledger.add(line)
        self._describe()

    def _take(self, found: list[Handed]) -> tuple[list[Line], list[str]]:
        lines, documents = [], []
        for one in sorted(found, key=_in_market_order):
            line, is_new = self._place(one)
            lines.append(line)
            if one.scan is not None and is_new:
                self._trace.stamp("read", line.epoch, line.scan_number)
                documents.append(document_of(one.scan, line.epoch, line.seq, datetime.now(UTC)))
                self._trace.stamp("put", line.epoch, line.scan_number)
                self._polling.cadence.note(time.monotonic())
                self._context.went_well()
        return lines, documents

    def _place(self, found: Handed) -> tuple[Line, bool]:
        """Give a scan its epoch and sequence number, or quarantine it; return whether it is new."""
        line = Line(path=found.path, stamp=found.stamp, reason=found.reason)
        scan, order = found.scan, self._ledger.order
        if scan is None:
            self._context.count_rejection("bad_file", file=found.path, why=found.reason)
            return line, False
        try:
            refuse_implausible(
                scan.timestamp_us,
                order.timestamp_us,
                to_us(datetime.now(UTC)),
                is_replay=self._context.settings.market_clock == "replay",
            )
            is_new = order.accept(scan.scan_number, scan.timestamp_us)
        except ScanOutOfOrder as e:
            line.reason = f"out of order: {e}"
            self._context.count_rejection("out_of_order", file=found.path, why=str(e))
            return line, False
        if not is_new:
            line.reason = f"duplicate of scan {scan.scan_number}"
            self._context.count_rejection("duplicate", file=found.path, why=line.reason)
            return line, False
        self._ledger.seq += 1
        line.epoch, line.seq = order.epoch, self._ledger.seq
        line.scan_number, line.timestamp_us = scan.scan_number, scan.timestamp_us
        self._last_number = scan.scan_number
        return line, True

    async def _last_documents(self) -> list[str]:
        """Return the documents of the newest files an earlier process published, oldest first."""
        lines = {line.path: line for line in self._ledger.newest}
        documents: deque[str] = deque()
        n_bytes, until = 0, time.monotonic() + RECALL_S
        for batch in itertools.batched(reversed(lines), RECALLED, strict=False):
            try:
                found = await self._child.ask(Request(0.0, 0.0, list(batch)))
            except ReaderOverdue as e:
                self._context.set_phase("share_hung", reason=str(e))
                break
            by_path = {one.path: one for one in found}
            for one in (by_path[path] for path in batch if path in by_path):
                line = lines[one.path]
                if one.scan is None or one.stamp != line.stamp:
                    continue
                seen_at = datetime.fromtimestamp(line.stamp[0] / 1e9, UTC)
                documents.appendleft(document_of(one.scan, line.epoch, line.seq, seen_at))
                n_bytes += size_of(documents[0])
            self._context.turn()
            if n_bytes > KEPT_BYTES or time.monotonic() > until:
                break
        return list(documents)

    def _describe(self) -> None:
        self._context.figures.set("scan_number", self._last_number or 0)
        self._context.figures.set("scans", self._ledger.seq)
        self._context.figures.set("quarantined", self._ledger.bad)
        if time.monotonic() - self._described_at < DESCRIBE_S:
            return
        self._described_at = time.monotonic()
        slow = pace_said(self._pace_file)
        self._context.detail = (
            f"scan {self._last_number}, epoch {self._ledger.order.epoch}, "
            f"seq {self._ledger.seq}, {self._ledger.bad} quarantined{'; ' if slow else ''}{slow}"
        )


def _in_market_order(found: Handed) -> tuple[int, int]:
    if found.scan is None:
        return 0, 0
    return found.scan.timestamp_us, found.scan.scan_number


async def run(context: ServiceContext) -> None:
    """Run the bridge in its service context."""
    await Bridge(context).run()
