"""The clock of meta health: wall time for timestamps, monotonic time for durations, and pauses."""

import asyncio
import time
from datetime import UTC, datetime

from dolphin_realtime.runtime.service_context import pause


class Clock:
    """The machine's clocks; a test may pass its own."""

    def wall(self) -> datetime:
        """Return the wall time, UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return monotonic seconds; they also advance while the process is stopped."""
        return time.monotonic()

    async def pause(self, stopping: asyncio.Event, seconds: float) -> None:
        """Sleep for some seconds, or until the service stops."""
        await pause(stopping, seconds)
