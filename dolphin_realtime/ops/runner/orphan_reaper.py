"""Kills every process of a stack when its runner is gone: the last resort.

Run as a plain script with no package import, so that it starts in milliseconds. It waits
for its standard input to end (the runner holds the other end, so any death of the runner
ends it), then kills whatever carries the stack's mark in its environment, grandchildren
and run workers included, until nothing is left. Linux only.
"""

import os
import signal
import sys
import time

MARK = "DOLPHIN_STACK"
QUIET_ROUNDS = 3
ROUND_S = 0.05
TIMEOUT_S = 20.0


def marked(prefix: str, spare: str = "") -> list[int]:
    """Return the processes whose mark begins with ``prefix`` and is not ``spare``."""
    wanted, kept = f"{MARK}={prefix}".encode(), f"{MARK}={spare}".encode()
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        try:
            with open(f"/proc/{entry}/environ", "rb") as f:
                variables = f.read().split(b"\0")
            with open(f"/proc/{entry}/stat", "rb") as f:
                is_zombie = f.read().rpartition(b")")[2].split()[0] == b"Z"
        except OSError:
            continue
        if not is_zombie and any(v.startswith(wanted) and v != kept for v in variables):
            found.append(int(entry))
    return found


def sweep(prefix: str, spare: str = "") -> int:
    """Kill all marked processes until none is left; return how many were killed."""
    killed: set[int] = set()
    quiet, deadline = 0, time.monotonic() + TIMEOUT_S
    while quiet < QUIET_ROUNDS and time.monotonic() < deadline:
        alive = marked(prefix, spare)
        for pid in alive:
            try:
                os.kill(pid, signal.SIGKILL)
                killed.add(pid)
            except OSError:
                continue
        quiet = 0 if alive else quiet + 1
        time.sleep(ROUND_S)
    return len(killed)


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sys.stdin.read()
    sweep(sys.argv[1])
