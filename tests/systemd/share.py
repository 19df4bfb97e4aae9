"""The hanging share as a context manager, and a feeder that writes scans behind it."""

import json
import subprocess
import sys
import threading
from pathlib import Path

import msgspec

from dolphin_realtime.bench.stack import wait_for
from dolphin_realtime.scans.files import write_scan
from tests.integration.conftest import sample_market

FUSE_TOOLS = "apt-get install fuse3 libfuse2"


class Share:
    """A FUSE mount over ``source`` that hangs on demand."""

    def __init__(self, scratch: Path) -> None:
        self.source, self.mount = scratch / "source", scratch / "share"
        self._flag = scratch / "hang"
        self.source.mkdir()
        self.mount.mkdir()
        self._server: subprocess.Popen[bytes] | None = None
        self._log = scratch / "share.log"

    def __enter__(self) -> "Share":
        script = Path(__file__).parents[1] / "share" / "slow_share.py"
        settings = json.dumps({"hang": str(self._flag)})
        command = [sys.executable, str(script), str(self.source), str(self.mount), settings]
        with self._log.open("wb") as log:
            self._server = subprocess.Popen(command, stdout=log, stderr=log)
        wait_for(self._is_mounted, 20, f"the FUSE mount ({FUSE_TOOLS})")
        return self

    def _is_mounted(self) -> bool:
        assert self._server.poll() is None, f"{self._log.read_text()} ({FUSE_TOOLS})"
        return str(self.mount) in Path("/proc/mounts").read_text()

    def hang(self) -> None:
        self._flag.touch()

    def release(self) -> None:
        self._flag.unlink(missing_ok=True)

    def __exit__(self, *_: object) -> None:
        self.release()
        subprocess.run(["umount", "-l", str(self.mount)], check=False)
        self._server.terminate()
        self._server.wait(20)


class Feeder:
    """Writes the sample's scans, one a second, until closed."""

    def __init__(self, folder: Path) -> None:
        self.market, self.first_us = sample_market()
        self._folder = folder
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._write, daemon=True)
        self.written = 0

    def __enter__(self) -> "Feeder":
        self._thread.start()
        return self

    def _write(self) -> None:
        for row in self.market.rows_of(self.first_us, 2**62):
            self.written += 1
            scan = next(iter(self.market.scans_at(row)))
            scan = msgspec.structs.replace(scan, scan_number=self.written)
            write_scan(self._folder, scan)
            if self._ending.wait(1.0):
                return

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join(10)
