"""JSON over a unix socket that only its owner may use: one request, one answer.

Paths may be longer than a socket address allows, so both ends address the socket through the
folder's file descriptor.
"""

import asyncio
import os
import socket
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec

from dolphin_realtime.model.errors import ServiceError

TIMEOUT_S: Final = 30.0
MAX_LINE: Final = 1 << 20

_NO_CLEAN_UP: Final[dict[str, Any]] = (
    {"cleanup_socket": False} if sys.version_info >= (3, 13) else {}
)
"""asyncio cannot unlink a path that goes through a closed descriptor."""

Handler = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]


def trader_socket(run_dir: Path, instance: str) -> Path:
    """Return the socket on which an instance's trader takes operator commands for positions."""
    return run_dir / f"trader-{instance}.sock"


def _address(path: Path, folder_fd: int) -> str:
    return f"/proc/self/fd/{folder_fd}/{path.name}"


def _fresh_folder(path: Path) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    return os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)


async def serve_json(path: Path, handle: Handler) -> asyncio.Server:
    """Serve ``handle`` on a socket at ``path``, readable and writable by its owner alone."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = msgspec.json.decode(await reader.readline(), type=dict[str, Any])
            response = await handle(request)
        except (msgspec.DecodeError, ValueError) as e:
            response = {"ok": False, "error": f"request refused: {e}"}
        with suppress(ConnectionError):
            writer.write(msgspec.json.encode(response) + b"\n")
            await writer.drain()
        writer.close()

    folder = _fresh_folder(path)
    before = os.umask(0o177)
    try:
        return await asyncio.start_unix_server(
            answer, _address(path, folder), limit=MAX_LINE, **_NO_CLEAN_UP
        )
    finally:
        os.umask(before)
        os.close(folder)


def ask(path: Path, request: dict[str, Any], timeout_s: float = TIMEOUT_S) -> dict[str, Any]:
    """Send one request and return the answer.

    Raises:
        ServiceError: If nobody listens there, or the answer does not come in time.
    """
    try:
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as e:
        raise ServiceError(
            f"nothing runs behind {path}; start a stack with dolphin up, or set DOLPHIN_HOME"
        ) from e
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
            s.settimeout(timeout_s)
            s.connect(_address(path, folder))
            s.sendall(msgspec.json.encode(request) + b"\n")
            answer = s.makefile("rb").readline()
    except (FileNotFoundError, ConnectionRefusedError) as e:
        raise ServiceError(
            f"nothing runs behind {path}; start a stack with dolphin up, or set DOLPHIN_HOME"
        ) from e
    except (OSError, TimeoutError) as e:
        raise ServiceError(f"nothing answers at {path} ({e}); is the stack up? (dolphin up)") from e
    finally:
        os.close(folder)
    if not answer:
        raise ServiceError(f"{path} closed the connection without an answer")
    return msgspec.json.decode(answer, type=dict[str, Any])
