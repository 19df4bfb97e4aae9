"""Which indicators are switched off: by a toggle in the UI, else by the setting."""

import dagster as dg

from dolphin_dagster.factors.registry import switched_off
from dolphin_dagster.instance.dagster_internals import InstigatorStatus, InstigatorType


def off_now(instance: dg.DagsterInstance) -> set[str]:
    """Return the indicators whose schedule is off: by a toggle, else by the setting."""
    states = {
        state.instigator_name.removesuffix("_schedule"): state.status
        for state in instance.all_instigator_state(instigator_type=InstigatorType.SCHEDULE)
    }
    toggled_off = {n for n, status in states.items() if status == InstigatorStatus.STOPPED}
    toggled_on = {n for n, status in states.items() if status == InstigatorStatus.RUNNING}
    return (switched_off() - toggled_on) | toggled_off
