"""The CPU time that a process has used."""

import os
from pathlib import Path
from typing import Final

_TICKS_PER_S: Final = float(os.sysconf("SC_CLK_TCK"))
_OWN: Final = slice(11, 13)
_WITH_REAPED: Final = slice(11, 15)
"""Fields of /proc/PID/stat after the name: user and system time, then those of ended children."""


def cpu_s(pid: int, *, with_reaped: bool = False) -> float:
    """Return the CPU seconds so far, optionally with ended children's; 0 if the process is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[_WITH_REAPED if with_reaped else _OWN])) / _TICKS_PER_S
