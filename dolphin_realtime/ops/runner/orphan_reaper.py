"""Kills every process of a stack when its runner has died.

It runs as a plain script without package imports, so that it starts in milliseconds. It waits
until its standard input ends (the runner holds the other end, so its death closes the pipe), then
kills every process with the stack's mark in its environment, grandchildren and Dagster run workers
included, until none is left. Linux only.
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
    """Return the ids of the processes whose mark begins with ``prefix`` and is not ``spare``."""
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
