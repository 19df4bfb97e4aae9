"""Daily and weekly work that is not there by its deadline, by Dagster's freshness policies."""

from collections.abc import Mapping
from typing import Final

import dagster as dg

from dolphin_dagster import checks
from dolphin_dagster.instance.dagster_internals import AssetGraph, FreshnessState
from dolphin_dagster.watch.red_checks import Bad

OVERDUE: Final = "deadline"
RUNBOOK: Final = f"{checks.RUNBOOK}#when-work-is-overdue"
GROUPS: Final = ("archive", "reports")
"""Groups of the assets that have deadlines; the others' freshness has alerts of its own."""


def overdue(
    instance: dg.DagsterInstance, graph: AssetGraph, red: Mapping[str, Bad]
) -> dict[str, Bad]:
    """Return the work past its deadline, by ``asset:deadline``.

    What the storage does not know of keeps its last reported state.
    """
    keys = [
        key for key in graph.get_all_asset_keys()
        if graph.get(key).freshness_policy is not None and graph.get(key).group_name in GROUPS
    ]  # fmt: skip
    records = instance.get_freshness_state_records(keys)
    found: dict[str, Bad] = {}
    for key in keys:
        name, record = f"{key.to_user_string()}:{OVERDUE}", records.get(key)
        if record is None:
            found |= {name: red[name]} if name in red else {}
        elif record.freshness_state == FreshnessState.FAIL:
            since = f"{record.updated_at:%Y-%m-%d %H:%M} UTC"
            why = f"nothing was made in time; overdue since {since}: see its automation history"
            found[name] = Bad(why, RUNBOOK)
    return found
