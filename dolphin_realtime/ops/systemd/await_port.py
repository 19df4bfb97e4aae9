"""`python -m dolphin_realtime.ops.systemd.await_port PID PORT [PATH]`: wait until a port answers.

It is a unit's ExecStartPost, for services that do not speak sd_notify. It fails at once if the
service itself has died; the unit's start time-out ends a wait that is too long.
"""

import sys
import time
from pathlib import Path
from typing import Final

from dolphin_realtime.infra.ports import answers

LOOK_S: Final = 0.2


def main() -> None:
    """Wait until the port accepts a connection or, with a path, answers it with 200."""
    pid, port, path = sys.argv[1], int(sys.argv[2]), "".join(sys.argv[3:])
    while not answers(port, path):
        if not Path(f"/proc/{pid}").exists():
            sys.exit(f"process {pid} died before port {port} answered")
        time.sleep(LOOK_S)


if __name__ == "__main__":
    main()
