"""Peak memory of a process, and running work in a new process to measure it."""

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path


def peak_mb() -> float:
    """Return the peak resident size of this process in MB (VmHWM, which exec resets)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise OSError("/proc/self/status has no VmHWM")


def rss_mb(pid: int) -> float:
    """Return the resident size of a process in MB, 0 if it has just ended."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    sizes = [line.split()[1] for line in text.splitlines() if line.startswith("VmRSS:")]
    return int(sizes[0]) * 1024 / 1e6 if sizes else 0.0


def alone[R](work: Callable[..., R], *args: object) -> R:
    """Return the result of ``work`` in a new process, so that the memory measured is its own."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(work, *args).result()
