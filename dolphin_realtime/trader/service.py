"""`dolphin service trader INSTANCE`: recover, warm up, then trade every new scan.

The order of starting and stopping belongs here and nothing else.
"""

import asyncio
import gc
from pathlib import Path

from dolphin_realtime import grid
from dolphin_realtime.feed import LatestFeed
from dolphin_realtime.journal import Journal, ScanRecord
from dolphin_realtime.model.desk import Desk
from dolphin_realtime.model.errors import ScanError, ServiceError, SettingsError
from dolphin_realtime.parameters import load_parameters
from dolphin_realtime.scan_files import read_archive
from dolphin_realtime.service import Frame
from dolphin_realtime.settings import Settings
from dolphin_realtime.trace import Trace
from dolphin_realtime.trader.documents import StatePublisher
from dolphin_realtime.trader.guard import Guard
from dolphin_realtime.trader.inbox import Inbox, Ring, intents_of
from dolphin_realtime.trader.node import Node
from dolphin_realtime.trader.session import Session

NODE_TIMEOUT_S = 30.0


def make_desk(instance: str) -> Desk:
    """Return an empty desk with the parameters of the environment.

    Raises:
        SettingsError: If a DOLPHIN_SIGNAL_, TARGET_ or COST_ variable is wrong.
    """
    p = load_parameters()
    return Desk(instance, p.signal, p.target, p.costs)


def refuse_live(settings: Settings, mode: str | None = None) -> None:
    """Raise where live trading is asked for: this version trades on paper only.

    Raises:
        SettingsError: If the mode is live.
    """
    if "live" in (settings.mode, mode):
        raise SettingsError("live mode is not part of this version; use --mode paper")


def warm_up(desk: Desk, archive: Path, days: int) -> int:
    """Step the signal through the newest archived days and return how many scans that were.

    Raises:
        ScanError: If an archive cannot be read.
    """
    n_scans = 0
    for path in sorted(archive.glob("????-??-??.parquet"))[-days:] if days else []:
        for scan in read_archive(path):
            desk.warm_up(scan)
            n_scans += 1
    return n_scans


class TraderService:
    """One trader instance in its service frame."""

    def __init__(self, frame: Frame, instance: str) -> None:
        self.frame = frame
        self.loop = asyncio.get_running_loop()
        settings = frame.settings
        self.journal = Journal(settings.journal_dir(instance), self._committed)
        self.desk = make_desk(instance)
        saved = self.journal.load_desk()
        if saved is not None:
            self.desk.restore(saved)
        self.is_restored = saved is not None
        self.trace = Trace(settings.trace, f"trader-{instance}")
        self.session = Session(self.desk, self.journal, self.trace)
        self.guard = Guard(
            is_replay=settings.market_clock == "replay",
            cadence_min_s=settings.stale_cadence_min_s,
            trouble=self._trouble,
        )
        self.inbox = Inbox(frame, self.session, self.guard)
        self.publisher = StatePublisher(frame, self.session, self.guard)

    def _committed(self, record: ScanRecord) -> None:  # noqa: ARG002 - the helper thread's callback
        self.loop.call_soon_threadsafe(self.publisher.soon)

    def _trouble(self) -> str | None:
        return self.journal.trouble or ("RECONCILIATION" if self.session.mismatch else None)

    async def run(self) -> None:
        """Trade until the service stops."""
        if not self.is_restored:
            await self._warm_up()
        intents = self.journal.open_intents(self.desk.last_key if self.is_restored else None)
        self.inbox.recover(intents_of(intents))
        self.journal.start()
        node = Node(self.desk, self.session.strategy, self.loop)
        self.session.node = node
        self.frame.own_signals()
        running = asyncio.create_task(node.node.run_async())
        await self._until_running(node, running)
        in_flight = list(self.desk.in_flight.values())
        self.session.strategy.send(in_flight)
        feeds = await self._feeds()
        gc.collect()
        gc.freeze()
        gc.disable()
        publishing = asyncio.create_task(self.publisher.run())
        describing = asyncio.create_task(self._describe())
        self.frame.ready()
        self.frame.log.info(
            "trader.started",
            restored=self.is_restored,
            in_flight=len(in_flight),
            intents=len(intents),
        )
        try:
            await self.inbox.run()
        finally:
            for feed in feeds:
                feed.stop()
            describing.cancel()
            await asyncio.gather(publishing, describing, return_exceptions=True)
            await node.node.stop_async()
            await asyncio.wait([running], timeout=5)
            self.journal.close()
            self.trace.write()

    async def _warm_up(self) -> None:
        settings = self.frame.settings
        self.frame.say("warming_up")
        try:
            n = await asyncio.to_thread(warm_up, self.desk, settings.archive, settings.warm_up_days)
        except ScanError as e:
            self.frame.refuse("bad_archive", why=str(e))
            n = 0
        self.frame.log.info("trader.warmed_up", scans=n)

    async def _until_running(self, node: Node, running: "asyncio.Task[None]") -> None:
        deadline = self.loop.time() + NODE_TIMEOUT_S
        while not node.node.trader.is_running:
            if running.done() or self.loop.time() > deadline:
                raise ServiceError("the Nautilus node did not start; its log lines are above")
            await asyncio.sleep(0.01)

    async def _feeds(self) -> list[LatestFeed]:
        client = self.frame.client
        self.inbox.ring = Ring(await client.get_ringbuffer(grid.SCAN_RING))
        safety = LatestFeed(client, grid.SAFETY, grid.LATEST, self.guard.on_safety)
        scans = LatestFeed(client, grid.FEATURES, grid.LATEST_SCAN, self.inbox.on_document)
        await safety.start()
        await scans.start()
        return [safety, scans]

    async def _describe(self) -> None:
        while True:
            s = self.session
            refused = sum(s.refused.values())
            self.frame.detail = f"{s.n_scans} scans, {s.n_fills} fills, {refused} orders refused"
            if self._trouble():
                self.frame.say("blocked", why=self._trouble())
            elif self.frame.phase == "blocked":
                self.frame.say("ready")
            await asyncio.sleep(1.0)


async def run(frame: Frame, instance: str) -> None:
    """Run the trader in its service frame."""
    await TraderService(frame, instance).run()
