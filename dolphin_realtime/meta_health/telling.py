"""Telling people what only meta health can tell: Dagster's own services, and units given up.

What is seen in Dagster is told from there; who tells that Dagster itself is down is this.
"""

from collections.abc import Iterable
from typing import Final

from dolphin_realtime.alerts import FILE, AlertKey, read_alerts, standing
from dolphin_realtime.meta_health.judgement import Judgement
from dolphin_realtime.model.recovery import Fault
from dolphin_realtime.service import Frame

DAGSTER: Final = "dagster-"
SERVICE: Final = "service"
UNIT: Final = "unit"
RUNBOOK: Final = "docs/runbook.md#when-dagster-is-down"


class Telling:
    """The alerts that stand; they are read from the file, to which systemd's side writes as well."""

    def __init__(self, frame: Frame) -> None:
        self._frame, self._path = frame, frame.settings.home / FILE
        self._size = 0
        self._red: dict[AlertKey, str] = {}

    def _read(self) -> None:
        """Read what stands, where the file has changed."""
        size = self._path.stat().st_size if self._path.is_file() else 0
        if size == self._size:
            return
        self._size = size
        self._red = {
            key: alert.runbook
            for key, alert in standing(read_alerts(self._frame.settings.home)).items()
            if key[1] in (SERVICE, UNIT)
        }

    def tell(self, faults: Iterable[Fault], judgement: Judgement) -> None:
        """Write an alert for each service of Dagster that is newly bad, and for what is well again."""
        self._read()
        for fault in faults:
            key = (fault.target, SERVICE)
            if fault.target.startswith(DAGSTER) and key not in self._red:
                self._red[key] = RUNBOOK
                facts = {"why": f"{fault.sensor} finds it bad: see dolphin status"}
                self._frame.alert(*key, "red", facts, RUNBOOK)
        for asset, check in [key for key in self._red if judgement.is_well(key[0])]:
            runbook = self._red.pop((asset, check))
            self._frame.alert(asset, check, "recovered", {"why": "it is well again"}, runbook)
