"""Fault injection for tests: places in the code where a process can be made to fail.

``DOLPHIN_FAULT_POINTS`` names them, e.g. ``intent@3=kill``: SIGKILL when the intent is written
for the third time, once per DOLPHIN_HOME, so that the restarted process survives. The caller
carries out other actions, e.g. ``venue@5=reject*3``: the fifth to the seventh order is rejected.
Only tests set it; without it `reach` is one comparison.
"""

import os
import signal
from collections import Counter
from pathlib import Path
from typing import Final, NamedTuple

VARIABLE: Final = "DOLPHIN_FAULT_POINTS"
KILL: Final = "kill"


class _Fault(NamedTuple):
    first: int
    times: int
    action: str


def _parse(text: str) -> dict[str, _Fault]:
    found = {}
    for part in filter(None, text.split(",")):
        head, _, what = part.partition("=")
        point, _, first = head.partition("@")
        action, _, times = what.partition("*")
        found[point] = _Fault(int(first or 1), int(times or 1), action or KILL)
    return found


_armed: Final = _parse(os.environ.get(VARIABLE, ""))
_reached: Counter[str] = Counter()


def reach(point: str) -> str | None:
    """Return the action to take at a fault point, usually None; ``kill`` ends the process."""
    if not _armed or point not in _armed:
        return None
    _reached[point] += 1
    fault = _armed[point]
    if not fault.first <= _reached[point] < fault.first + fault.times:
        return None
    if fault.action == KILL:
        _kill_once(point)
        return None
    return fault.action


def _kill_once(point: str) -> None:
    marker = Path(os.environ.get("DOLPHIN_HOME", "var")) / "run" / f"fault_{point}"
    try:
        os.close(os.open(marker, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGKILL)
