"""`python -m dolphin_realtime.ops.systemd.await_port PID PORT [PATH]`: end once a loopback port answers.

A unit's ExecStartPost, for services that do not speak sd_notify: fails at once where the service
itself has died; the unit's start time-out ends a wait that is too long.
"""

import sys
import time
from pathlib import Path
from typing import Final

from dolphin_realtime.infra.ports import answers

LOOK_S: Final = 0.2


def main() -> None:
    """Wait for the port, with the path answered by 200 where one is given."""
    pid, port, path = sys.argv[1], int(sys.argv[2]), "".join(sys.argv[3:])
    while not answers(port, path):
        if not Path(f"/proc/{pid}").exists():
            sys.exit(f"process {pid} died before port {port} answered")
        time.sleep(LOOK_S)


if __name__ == "__main__":
    main()
