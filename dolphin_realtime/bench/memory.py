"""The most memory a process has held, and running work in a process of its own to know it."""

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path


def peak_mb() -> float:
    """Return the peak resident size of this process in MB (VmHWM: begins anew at exec)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise OSError("/proc/self/status has no VmHWM")


def alone[R](work: Callable[..., R], *args: object) -> R:
    """Return what ``work`` gives in a new process: its memory is then nobody else's."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(work, *args).result()
