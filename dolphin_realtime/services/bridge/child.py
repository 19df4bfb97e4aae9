"""The bridge's side of the reader child: requests with a deadline, and its replacement.

Starting, asking and abandoning the child belong here; what it reads does not (reader.py).
"""

import asyncio
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from dolphin_realtime.infra.process import die_with_parent
from dolphin_realtime.services.bridge.frames import LENGTH
from dolphin_realtime.services.bridge.reader import Handed, Request

_found = msgspec.msgpack.Decoder(list[Handed])
_MAX_FRAME: Final = 256 * 1024 * 1024
_KILL_WAIT_S: Final = 1.0


class ReaderOverdue(Exception):  # noqa: N818 - a state of the share, not a fault of the program
    """The child did not answer within its deadline, or it ended."""


class ReaderChild:
    """One reader child at a time; an overdue child is killed and replaced.

    Attributes:
        n_replaced: Number of children abandoned so far.
    """

    def __init__(self, scan_dir: Path, ledger: Path, deadline_s: float) -> None:
        self._command = [sys.executable, "-m", "dolphin_realtime.services.bridge.reader"]
        self._command += [str(scan_dir), str(ledger)]
        self._deadline_s = deadline_s
        self._child: asyncio.subprocess.Process | None = None
        self._stuck: asyncio.subprocess.Process | None = None
        self.n_replaced = 0

    @property
    def is_stuck(self) -> bool:
        """Whether a killed child still hangs in the share; no other child is started then."""
        return self._stuck is not None and self._stuck.returncode is None

    async def ask(self, request: Request) -> list[Handed]:
        """Return the child's answer.

        Raises:
            ReaderOverdue: If there is no answer in time; the next request goes to a new child.
        """
        if self.is_stuck:
            await asyncio.sleep(min(self._deadline_s, 0.5))
            raise ReaderOverdue("a killed reader still hangs in the scan folder")
        try:
            async with asyncio.timeout(request.wait_s + self._deadline_s):
                return await self._exchange(request)
        except (TimeoutError, asyncio.IncompleteReadError, OSError, msgspec.DecodeError) as e:
            await self._abandon()
            detail = str(e) or f"no answer within {request.wait_s + self._deadline_s:.1f} s"
            raise ReaderOverdue(f"the scan folder's reader was replaced: {detail}") from e

    async def _exchange(self, request: Request) -> list[Handed]:
        child = self._child or await self._start()
        if child.stdin is None or child.stdout is None:
            raise OSError("the reader has no pipes")
        payload = msgspec.msgpack.encode(request)
        child.stdin.write(LENGTH.pack(len(payload)) + payload)
        head = await child.stdout.readexactly(LENGTH.size)
        (size,) = LENGTH.unpack(head)
        if size > _MAX_FRAME:
            raise OSError(f"the reader sent a frame of {size} bytes")
        return _found.decode(await child.stdout.readexactly(size))

    async def _start(self) -> asyncio.subprocess.Process:
        self._child = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            preexec_fn=die_with_parent,
        )
        return self._child

    async def _abandon(self) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        self.n_replaced += 1
        await self._kill(child)
        if child.returncode is None:
            self._stuck = child

    async def _kill(self, child: asyncio.subprocess.Process) -> None:
        with suppress(ProcessLookupError):
            child.kill()
        with suppress(TimeoutError):
            async with asyncio.timeout(_KILL_WAIT_S):
                await child.wait()

    async def close(self) -> None:
        """Kill the child."""
        if self._child is not None:
            await self._kill(self._child)
