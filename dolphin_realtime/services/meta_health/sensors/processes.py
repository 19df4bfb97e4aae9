"""Process integrity (`m1_proc`): which services run according to the service manager."""

from collections.abc import Iterable

from dolphin_realtime.ops.managers.interface import ServiceStatus
from dolphin_realtime.services.meta_health.reading import Reading

UP = ("running", "starting", "waiting")
"""States that count as up; waiting for another service is not a fault."""


def read_processes(services: Iterable[ServiceStatus], meant: Iterable[str] = ()) -> Reading:
    """Return the process score of each service; one that an operator stopped scores 0 too.

    A service that is ``meant`` to run but unknown to the manager also scores 0.
    """
    known = list(services)
    missing = set(meant) - {s.name for s in known}
    facts: dict[str, dict[str, object]] = {
        s.name: {"state": s.state, "pid": s.pid, "restarts": s.restarts} for s in known
    }
    facts |= {name: {"state": "missing"} for name in missing}
    scores: dict[str, float | None] = {s.name: float(s.state in UP) for s in known}
    return Reading(scores=scores | dict.fromkeys(missing, 0.0), facts=facts)
