"""The clock of meta health: wall time for stamps, monotonic time for how long, and the pause."""

import asyncio
import time
from datetime import UTC, datetime

from dolphin_realtime.runtime.service_context import pause


class Clock:
    """The machine's clocks; a test may bring its own."""

    def wall(self) -> datetime:
        """Return the wall time, UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds that never go back; they go on while the process is stopped."""
        return time.monotonic()

    async def pause(self, stopping: asyncio.Event, seconds: float) -> None:
        """Sleep, or until the service stops."""
        await pause(stopping, seconds)
