"""The most memory a process has held, as the kernel counts it."""

from pathlib import Path


def peak_mb() -> float:
    """Return the peak resident size of this process in MB (VmHWM: begins anew at exec)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise OSError("/proc/self/status has no VmHWM")
