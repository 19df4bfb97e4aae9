"""What every long-running process needs for its manager: readiness, watchdog, death with parent.

systemd's notification protocol and Linux's parent-death signal belong here; managing
processes does not (ops/runner/).
"""

import ctypes
import os
import resource
import signal
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Final

LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
NO_PROXY: Final = ("no_proxy", "NO_PROXY", "no_grpc_proxy")
"""Variables in which HTTP clients and gRPC look for hosts to reach without a proxy."""
_PR_SET_PDEATHSIG: Final = 1
_LIBC: Final = ctypes.CDLL(None, use_errno=True)


def notify(message: str) -> None:
    """Send one line of the sd_notify protocol, e.g. READY=1; without a manager do nothing."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    target = "\0" + address[1:] if address.startswith("@") else address
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as s:
        s.setblocking(False)
        try:
            s.sendto(message.encode(), target)
        except OSError:
            return  # an absent or busy manager must not stop the service


def direct_loopback(env: Mapping[str, str]) -> dict[str, str]:
    """Return the no-proxy variables with loopback added to what they already hold."""
    found = {}
    for name in NO_PROXY:
        said = env.get(name) or env.get("no_proxy") or env.get("NO_PROXY") or ""
        hosts = [host.strip() for host in said.split(",") if host.strip()]
        found[name] = ",".join([*hosts, *(h for h in LOOPBACK if h not in hosts)])
    return found


def die_with_parent() -> None:
    """Ask the kernel to kill this process when its parent dies; for use as preexec_fn."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def has_ended(pid: int) -> bool:
    """Return whether a process is gone; one whose parent has not asked after it has ended too."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


def bound_memory(room_bytes: int) -> None:
    """Let allocations fail from ``room_bytes`` beyond what this process has now."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * os.sysconf("SC_PAGE_SIZE") + room_bytes
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
