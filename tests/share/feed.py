"""A folder of known scans on a slow share, new ones that come, and the bridge's own reader."""

import asyncio
import json
import subprocess
import sys
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import psutil

from dolphin_realtime.bench.stack import wait_for
from dolphin_realtime.scans.files import to_bytes
from dolphin_realtime.scans.ledger import Line
from dolphin_realtime.services.bridge.child import ReaderChild, ReaderOverdue
from dolphin_realtime.services.bridge.reader import Request
from tests.scans import walk

FUSE_TOOLS = "apt-get install fuse3 libfuse2"
DEADLINE_S = 5.0
"""The reader's, as a stack sets it."""
SCANS = walk(200)


@contextmanager
def mounted(source, mount, **settings):
    """Hold a slow share over ``source``."""
    mount.mkdir(exist_ok=True)
    script = Path(__file__).with_name("slow_share.py")
    log = mount.with_suffix(".log")
    with log.open("wb") as out:
        server = subprocess.Popen(
            [sys.executable, str(script), str(source), str(mount), json.dumps(settings)],
            stdout=out, stderr=out,
        )  # fmt: skip
    try:
        wait_for(
            lambda: str(mount) in Path("/proc/mounts").read_text(), 20,
            f"the FUSE mount ({FUSE_TOOLS}): {log.read_text()}",
        )  # fmt: skip
        yield mount
    finally:
        subprocess.run(["umount", "-l", str(mount)], check=False)
        server.terminate()
        server.wait(20)


def fill(source, ledger, n_files):
    """Put known files of yesterday and today there, three of five of yesterday; return today."""
    now = datetime.now(UTC)
    counts = {f"{now - timedelta(days=1):%Y-%m-%d}": n_files * 3 // 5}
    counts[f"{now:%Y-%m-%d}"] = n_files - n_files * 3 // 5
    ledger.mkdir(parents=True)
    for day, n in counts.items():
        (source / day).mkdir(parents=True)
        with (ledger / f"{day}.jsonl").open("wb") as out:
            for i in range(n):
                path = source / day / f"scan_{i:06d}_{i % 240000:06d}.arrow"
                path.write_bytes(b"x")
                s = path.stat()
                line = Line(path=f"{day}/{path.name}", stamp=(s.st_mtime_ns, s.st_size), epoch=1,
                            seq=i + 1, scan_number=i, timestamp_us=i)  # fmt: skip
                out.write(msgspec.json.encode(line) + b"\n")
    return max(counts)


def put(source, day, number):
    """Put a new scan there by rename; return its name."""
    name = f"scan_{number:06d}_120000.arrow"
    part = source / day / f".{name}.part"
    part.write_bytes(to_bytes(SCANS[number % len(SCANS)]))
    part.rename(source / day / name)
    return name


class Seen:
    """What a reader made of new scans: seconds until each was found, and what it cost."""

    def __init__(self):
        self.late, self.put, self.overdue, self.cpu_share = [], 0, 0, 0.0
        self.reasons = []


async def watch(share, source, ledger, day, seconds, every_s=5.0, first=500_000):
    """Let the bridge's reader look for some seconds while scans come."""
    child, seen = ReaderChild(share, ledger, DEADLINE_S), Seen()
    coming, got, began, cpu = {}, {}, time.monotonic(), None
    try:
        while time.monotonic() - began < seconds:
            if time.monotonic() - began > 2.0 + every_s * seen.put:
                coming[put(source, day, first + seen.put)] = time.monotonic()
                seen.put += 1
            try:
                for one in await child.ask(Request(0.5, 0.05)):
                    got.setdefault(one.path.split("/")[1].lower(), time.monotonic())
                    seen.reasons += [one.reason] * bool(one.reason)
            except ReaderOverdue:
                seen.overdue += 1
            if cpu is None and child._child is not None:
                process = psutil.Process(child._child.pid)
                cpu, measured = sum(process.cpu_times()[:2]), time.monotonic()
        if cpu is not None and child._child is not None:
            used = sum(psutil.Process(child._child.pid).cpu_times()[:2]) - cpu
            seen.cpu_share = used / (time.monotonic() - measured)
    finally:
        await child.close()
    seen.late = sorted(got[name] - at for name, at in coming.items() if name in got)
    return seen


def run(*args, **more):
    return asyncio.run(watch(*args, **more))
