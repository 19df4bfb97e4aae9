"""Which indicators are switched off: by a toggle in the UI, else by the setting."""

import dagster as dg
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.scheduler.instigation import InstigatorStatus

from dolphin_dagster.factors.registry import switched_off


def off_now(instance: dg.DagsterInstance) -> set[str]:
    """Return the indicators whose schedule is off: by a toggle, else by the setting."""
    states = {
        state.instigator_name.removesuffix("_schedule"): state.status
        for state in instance.all_instigator_state(instigator_type=InstigatorType.SCHEDULE)
    }
    toggled_off = {n for n, status in states.items() if status == InstigatorStatus.STOPPED}
    toggled_on = {n for n, status in states.items() if status == InstigatorStatus.RUNNING}
    return (switched_off() - toggled_on) | toggled_off
