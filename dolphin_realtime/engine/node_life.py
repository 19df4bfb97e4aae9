"""A NautilusTrader node in the trader's own loop: started, waited for, stopped."""

import asyncio
import gc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

from nautilus_trader.live import LiveNode

from dolphin_realtime.engine.nautilus import OrderStrategy
from dolphin_realtime.infra import log
from dolphin_realtime.model.errors import EngineError

START_TIMEOUT_S: Final = 30.0
STOP_TIMEOUT_S: Final = 5.0


class Changes:
    """Wakes those who wait for a condition, after each event."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def note(self) -> None:
        """Note that something changed."""
        self._event.set()

    async def until(self, is_so: Callable[[], bool], timeout_s: float) -> bool:
        """Wait until a condition holds, checked after each change; return False on timeout."""
        try:
            async with asyncio.timeout(timeout_s):
                while not is_so():
                    self._event.clear()
                    await self._event.wait()
        except TimeoutError:
            return False
        return True


@asynccontextmanager
async def running(
    node: LiveNode, strategy: OrderStrategy, failed: Callable[[str], None]
) -> AsyncIterator[Any]:
    """Run a node around a block of work and yield its handle; stop it afterwards.

    Args:
        node: The node.
        strategy: Its strategy.
        failed: Called with the reason if the node ends by itself.

    Raises:
        EngineError: If it does not start in time.
    """

    def ended(task: asyncio.Task[Any]) -> None:
        why = None if task.cancelled() else task.exception()
        failed(f"the node ended by itself: {why or 'it was stopped'}")

    handle = node.handle()
    task = asyncio.create_task(node.run_async())
    try:
        await _until_up(task, handle, strategy)
        task.add_done_callback(ended)
        yield handle
    finally:
        task.remove_done_callback(ended)
        handle.stop()
        await asyncio.wait([task], timeout=STOP_TIMEOUT_S)
        if task.done() and not task.cancelled() and task.exception() is not None:
            log.get().warning("trader.node_stopped", why=str(task.exception()))
        strategy.forget_callers()


async def _until_up(task: asyncio.Task[Any], handle: Any, strategy: OrderStrategy) -> None:
    try:
        async with asyncio.timeout(START_TIMEOUT_S):
            while not (handle.is_running and strategy.is_running()):
                if task.done():
                    raise EngineError(f"the node ended at its start: {task.exception()}")
                await asyncio.sleep(0.001)
    except TimeoutError:
        raise EngineError(f"the node was not up within {START_TIMEOUT_S:.0f} s") from None


def free_node() -> None:
    """Free a node that was stopped: its clients hold it in cycles, also where gc was frozen.

    While it lives another one cannot be built on this thread, and it may be freed on this one only.
    """
    frozen = gc.get_freeze_count()
    gc.unfreeze()
    gc.collect()
    if frozen:
        gc.freeze()
