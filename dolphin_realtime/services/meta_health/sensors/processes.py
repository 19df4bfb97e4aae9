"""M1, process integrity: what the service manager says runs, never a process scan."""

from collections.abc import Iterable

from dolphin_realtime.ops.managers.interface import ServiceStatus
from dolphin_realtime.services.meta_health.reading import Reading

UP = ("running", "starting", "waiting")
"""Waiting for another is not a fault of its own."""


def read_processes(services: Iterable[ServiceStatus], meant: Iterable[str] = ()) -> Reading:
    """Return M1 by service; one that an operator stopped counts as missing too.

    So does one that is ``meant`` to run and that the manager does not know.
    """
    known = list(services)
    missing = set(meant) - {s.name for s in known}
    facts: dict[str, dict[str, object]] = {
        s.name: {"state": s.state, "pid": s.pid, "restarts": s.restarts} for s in known
    }
    facts |= {name: {"state": "missing"} for name in missing}
    scores: dict[str, float | None] = {s.name: float(s.state in UP) for s in known}
    return Reading(scores=scores | dict.fromkeys(missing, 0.0), facts=facts)
