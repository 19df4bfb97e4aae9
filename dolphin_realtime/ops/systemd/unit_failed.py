"""`python -m dolphin_realtime.ops.systemd.unit_failed UNIT`: write an alert for a failed unit."""

import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from dolphin_realtime.ops.managers.systemd import PREFIX
from dolphin_realtime.runtime.alert_log import Alert, write_alert

RUNBOOK: Final = "docs/runbook.md#when-a-unit-failed"


def main() -> None:
    """Write the alert."""
    unit = sys.argv[1].removesuffix(".service")
    alert = Alert(
        ts=datetime.now(UTC),
        asset=unit.removeprefix(PREFIX),
        check="unit",
        state="red",
        facts={"unit": unit, "why": "systemd gave up on it: see systemctl status and dolphin logs"},
        runbook=RUNBOOK,
    )
    write_alert(Path(os.environ["DOLPHIN_HOME"]), alert)


if __name__ == "__main__":
    main()
