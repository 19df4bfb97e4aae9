"""`python -m dolphin_dagster.instance.setup`: the instance's storage and pool limits, before all else.

Run before the daemon, the webserver and the code server start: if the three open an empty SQLite
file at once they break it, and a daemon does not limit a pool it does not know.
Idempotent; a lock lets one run at a time. A limit changed by hand in the UI is put back.
"""

import fcntl
import os
from pathlib import Path

import dagster as dg

from dolphin_dagster.instance import pools
from dolphin_realtime.infra import log


def apply_limits(instance: dg.DagsterInstance) -> None:
    """Give the instance exactly the pools of pools.py."""
    storage = instance.event_log_storage
    have = {p.name: p for p in storage.get_pool_limits()}
    for name, limit in pools.LIMITS.items():
        found = have.get(name)
        if found is None or found.limit != limit or found.from_default:
            storage.set_concurrency_slots(name, limit)
    for name in have.keys() - pools.LIMITS.keys():
        storage.delete_concurrency_limit(name)


def main() -> None:
    """Create the storage and set the limits."""
    log.configure("dagster-setup")
    folder = Path(os.environ["DOLPHIN_DAGSTER_VAR"])
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "setup.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with dg.DagsterInstance.get() as instance:
            instance.get_runs_count()
            apply_limits(instance)
    log.get().info("dagster_setup.limits_set", **pools.LIMITS)


if __name__ == "__main__":
    main()
