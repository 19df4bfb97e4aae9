"""`python -m dolphin_realtime.systemd.await_port PORT [PATH]`: end once a loopback port answers.

A unit's ExecStartPost, for services that do not speak sd_notify; the unit's start time-out ends
a wait that is too long.
"""

import sys
import time
from typing import Final

from dolphin_realtime.ports import answers

LOOK_S: Final = 0.2


def main() -> None:
    """Wait for the port, with the path answered by 200 where one is given."""
    port, path = int(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else ""
    while not answers(port, path):
        time.sleep(LOOK_S)


if __name__ == "__main__":
    main()
