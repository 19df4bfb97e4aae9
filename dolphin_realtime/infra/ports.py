"""Checks of loopback ports: does it answer, is it free, which process holds it."""

import http.client
import socket
from contextlib import suppress
from pathlib import Path
from typing import Final

TIMEOUT_S: Final = 1.0
LOOPBACK: Final = "127.0.0.1"
_LISTEN: Final = "0A"


def answers(port: int, path: str, timeout_s: float = TIMEOUT_S, host: str = LOOPBACK) -> bool:
    """Return whether a port accepts a connection and, with a path, answers it with 200."""
    if not path:
        try:
            with socket.create_connection((host, port), timeout_s):
                return True
        except OSError:
            return False
    connection = http.client.HTTPConnection(host, port, timeout=timeout_s)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def is_free(port: int, host: str = LOOPBACK) -> bool:
    """Return whether a server could listen on a port of an address of this machine."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind((host, port))
        except OSError:
            return False
    return True


def next_free(port: int, tries: int = 50) -> int | None:
    """Return the first free port from ``port`` on."""
    return next((p for p in range(port, port + tries) if is_free(p)), None)


def owner_of(port: int) -> str:
    """Return the process that listens on a port, as far as this user can see it."""
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                    inodes.add(f"socket:[{fields[9]}]")
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        with suppress(OSError):
            for fd in (process / "fd").iterdir():
                if str(fd.readlink()) in inodes:
                    command = (process / "cmdline").read_bytes().replace(b"\0", b" ")
                    return f"process {process.name} ({command.decode('utf-8', 'replace')[:80].strip()})"
    return "another user's process"
