"""M1, process integrity: what the service manager says runs, never a process scan."""

from typing import Any

from dolphin_realtime.meta_health.reading import Reading
from dolphin_realtime.model.health import process_score

SELF = "meta-health"


def read_processes(services: list[dict[str, Any]]) -> Reading:
    """Return M1 over the services that are meant to run.

    Args:
        services: The manager's list: name, state, pid, restarts.
    """
    meant = {s["name"]: s for s in services if s.get("is_wanted", True) or s["state"] == "stopped"}
    is_running = {name: s["state"] in ("running", "starting") for name, s in meant.items()}
    subsystems: dict[str, dict[str, object]] = {
        name: {"state": s["state"], "pid": s.get("pid"), "restarts": s.get("restarts")}
        for name, s in meant.items()
    }
    return Reading(score=process_score(is_running), subsystems=subsystems)
