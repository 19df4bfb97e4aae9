"""Alerts that meta health writes: on the grid, on Dagster's own services, on recovered systemd units.

Dagster reports what it sees itself. Meta health reports that Dagster is down, or that it runs but
its alert sensor does not.
"""

from collections.abc import Iterable
from typing import Final

from dolphin_realtime.config.services import DAEMON
from dolphin_realtime.model.health.recovery import HAZELCAST, Fault
from dolphin_realtime.ops.managers.interface import ServiceStatus
from dolphin_realtime.runtime.alert_log import FILE, LOOKED, AlertKey, read_alerts, standing
from dolphin_realtime.runtime.service_context import ServiceContext
from dolphin_realtime.services.meta_health.evaluator import HealthEvaluator

DAGSTER: Final = "dagster-"
SERVICE: Final = "service"
UNIT: Final = "unit"
RUNBOOK: Final = "docs/runbook.md#when-dagster-is-down"
GRID_RUNBOOK: Final = "docs/runbook.md#hazelcast-answers"
UNWATCHED: Final = (
    "it runs, but nobody looks at runs and checks: it or the code server hangs, or the sensor alerts "
    "is off or fails"
)


class ServiceNotifier:
    """The notifier: active alerts are read from the file, to which systemd's units write too."""

    def __init__(self, context: ServiceContext) -> None:
        self._context, self._path = context, context.settings.home / FILE
        self._size = 0
        self._looked, self._stamp = context.settings.home / LOOKED, 0
        self._seen_s: float | None = None
        self._red: dict[AlertKey, str] = {}

    def _read(self) -> None:
        """Read the active alerts, if the file has changed."""
        try:
            size = self._path.stat().st_size if self._path.is_file() else 0
            if size == self._size:
                return
            found = standing(read_alerts(self._context.settings.home))
        except OSError as e:
            self._context.count_rejection("alerts_unread", why=str(e))
            return
        self._size = size
        self._red = {k: a.runbook for k, a in found.items() if k[1] in (SERVICE, UNIT)}

    def _is_unwatched(self, states: dict[str, str], now_s: float) -> bool:
        """Return whether Dagster's alert sensor has not run for long, though its daemon runs."""
        try:
            stamp = self._looked.stat().st_mtime_ns
        except OSError:
            stamp = 0
        if stamp != self._stamp or states.get(DAEMON) != "running" or self._seen_s is None:
            self._stamp, self._seen_s = stamp, now_s
        return now_s - self._seen_s > self._context.settings.mhs_unwatched_s

    def _raise(self, service: str, why: str, runbook: str = RUNBOOK) -> None:
        """Write an alert on a service, if none is active."""
        key = (service, SERVICE)
        if key not in self._red:
            self._red[key] = runbook
            self._context.alert(*key, "red", {"why": why}, runbook)

    def report(
        self,
        faults: Iterable[Fault],
        evaluator: HealthEvaluator,
        services: list[ServiceStatus] | None,
        now_s: float,
    ) -> None:
        """Write an alert for each Dagster service that is newly bad, and for each recovered one.

        Args:
            faults: The confirmed faults.
            evaluator: The health evaluator: which targets are good.
            services: As their manager reports them; None if it does not answer: then nothing
                counts as recovered.
            now_s: Monotonic time.
        """
        self._read()
        for fault in faults:
            if fault.target.startswith(DAGSTER) or fault.target == HAZELCAST:
                runbook = GRID_RUNBOOK if fault.target == HAZELCAST else RUNBOOK
                why = f"{fault.sensor} finds it bad: see dolphin status"
                self._raise(fault.target, why, runbook)
        if services is None:
            return
        states = {s.name: s.state for s in services}
        is_unwatched = self._is_unwatched(states, now_s)
        if is_unwatched:
            self._raise(DAEMON, UNWATCHED)
        for asset, check in list(self._red):
            runs = states.get(asset) == "running" and evaluator.is_well(asset)
            runs &= not (is_unwatched and asset == DAEMON)
            if runs or asset not in states:
                why = "it is well again" if runs else "there is no such service any more"
                runbook = self._red.pop((asset, check))
                self._context.alert(asset, check, "recovered", {"why": why}, runbook)
