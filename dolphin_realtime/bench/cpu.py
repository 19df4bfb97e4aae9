"""The processor time that a process has taken."""

import os
from pathlib import Path
from typing import Final

_TICKS_PER_S: Final = float(os.sysconf("SC_CLK_TCK"))
_OWN: Final = slice(11, 13)
_WITH_REAPED: Final = slice(11, 15)
"""In /proc/PID/stat after the name: user's and system's time, then those of children that ended."""


def cpu_s(pid: int, *, with_reaped: bool = False) -> float:
    """Return the seconds so far, with those of its children that ended; 0 where it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[_WITH_REAPED if with_reaped else _OWN])) / _TICKS_PER_S
