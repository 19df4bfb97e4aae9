"""Alerts about what Dagster sees: a check that turned red, overdue work, a tick that fails.

One alert is written when something goes wrong and one when it recovers, into the same file as
the realtime services' alerts; the alerter sends them. That file alone records what was reported:
if a cursor or the storage is lost, nothing stays red for ever and nothing is reported twice.
Failed runs have sensors of their own (runs.py); factors are reported by factors/health.py.
"""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import dagster as dg
import msgspec

from dolphin_dagster import checks
from dolphin_dagster.checks import LastReported
from dolphin_dagster.factors.registry import external
from dolphin_dagster.instance.dagster_internals import (
    AssetGraph,
    InstigatorStatus,
    TickStatus,
)
from dolphin_dagster.resources import Stack
from dolphin_dagster.watch.overdue import OVERDUE, overdue
from dolphin_dagster.watch.red_checks import Bad, red_checks, red_days
from dolphin_dagster.watch.stack_health import turn_light
from dolphin_realtime.runtime.alert_log import (
    Alert,
    AlertState,
    note_look,
    read_alerts,
    standing,
    write_alert,
)

NAME: Final = "alerts"
SENSOR_INTERVAL_S: Final = 15
TICK: Final = "tick"
RUNBOOK: Final = f"{checks.RUNBOOK}#when-a-sensor-or-schedule-fails"
OVER: Final = [TickStatus.SUCCESS, TickStatus.SKIPPED, TickStatus.FAILURE]


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """The sensor's cursor.

    Attributes:
        suspected: What was wrong at the last look; it is reported if it still is at this one.
        checks_until: Results of partitions are known up to here.
        light: What was last reported of the one light.
    """

    suspected: list[str] = []
    checks_until: int | None = None
    light: dict[str, LastReported] = {}


def told(home: Path, graph: AssetGraph) -> dict[str, Bad]:
    """Return the active alerts in the alerts file that this sensor wrote, by ``asset:check``."""
    mine = {key.name for key in graph.asset_check_keys if key.asset_key.path[-1] not in external()}
    return {
        f"{asset}:{check}": Bad(str(alert.facts.get("why", "")), alert.runbook)
        for (asset, check), alert in standing(read_alerts(home)).items()
        if check in (OVERDUE, TICK) or (check in mine and asset.split(" ")[0] not in external())
    }


def decide(
    bad: Mapping[str, Bad], red: Mapping[str, Bad], suspects: Collection[str], now: datetime
) -> tuple[list[Alert], dict[str, Bad], list[str]]:
    """Return the alerts to write, what is red from now on, and what is suspected.

    A fault that is over at the next look is not reported.

    Args:
        bad: What is wrong now, by ``asset:check``.
        red: What was reported and is still active.
        suspects: What was wrong at the last look and was not reported.
        now: Wall time.
    """
    sure = {
        name: found
        for name, found in bad.items()
        if name in red or name in suspects or found.is_fact
    }
    new = {name: found for name, found in sure.items() if name not in red}
    well = {name: found for name, found in red.items() if name not in bad}
    raised = [_alert(name, "red", found, now) for name, found in new.items()]
    raised += [
        _alert(name, "recovered", Bad("it is well again", found.runbook), now)
        for name, found in well.items()
    ]
    return raised, sure, [name for name in bad if name not in sure]


def _alert(name: str, state: AlertState, bad: Bad, now: datetime) -> Alert:
    asset, _, check = name.rpartition(":")
    return Alert(
        ts=now, asset=asset, check=check, state=state, facts={"why": bad.why}, runbook=bad.runbook
    )


def failing_ticks(
    instance: dg.DagsterInstance, known: Collection[str], red: Mapping[str, Bad]
) -> dict[str, Bad]:
    """Return the sensors and schedules that are on and whose newest finished tick failed.

    Args:
        instance: The Dagster instance.
        known: Names of sensors and schedules that exist; the storage keeps states of removed ones.
        red: What was reported; one whose ticks the storage does not know stays red.
    """
    states = instance.all_instigator_state()
    seen = {state.instigator_name for state in states}
    found = {
        name: bad
        for name, bad in red.items()
        if name.endswith(f":{TICK}") and (tick := name.rpartition(":")[0]) in known
        and tick not in seen
    }  # fmt: skip
    for state in states:
        if state.status == InstigatorStatus.STOPPED or state.instigator_name not in known:
            continue
        ticks = instance.get_ticks(
            state.instigator_origin_id, state.selector_id, limit=1, statuses=OVER
        )
        if ticks and ticks[0].status == TickStatus.FAILURE:
            error = ticks[0].error
            lines = error.message.strip().splitlines() if error else []
            why = lines[0] if lines else "its tick failed"
            found[f"{state.instigator_name}:{TICK}"] = Bad(why, RUNBOOK)
    return found


@dg.sensor(
    name=NAME,
    minimum_interval_seconds=SENSOR_INTERVAL_S,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=(
        "Writes an alert for a check that turned red, overdue work, a sensor or schedule whose tick "
        "failed: once when it fails, once when it recovers. Turns the one light, `stack_health`."
    ),
)
def alerts(context: dg.SensorEvaluationContext, stack: Stack) -> dg.SensorResult:
    """Look at checks, deadlines and ticks once, write the alerts, turn the light."""
    now, last = datetime.now(UTC), checks.remembered(context.cursor, Memory)
    repository, home = checks.repository_of(context), stack.settings.home
    known = {s.name for s in repository.sensor_defs} | {s.name for s in repository.schedule_defs}
    instance, graph = context.instance, repository.asset_graph
    before = told(home, graph)
    days, checks_until = red_days(instance, graph, before, last.checks_until)
    bad = {
        **red_checks(instance, graph, before),
        **days,
        **overdue(instance, graph, before),
        **failing_ticks(instance, known, before),
    }
    raised, red, suspected = decide(bad, before, last.suspected, now)
    for alert in raised:
        write_alert(home, alert)
        context.log.warning(f"{alert.asset} {alert.check} is {alert.state}: {alert.facts['why']}")
    note_look(home)
    events, light = turn_light(home, last.light, now)
    memory = Memory(suspected=suspected, checks_until=checks_until, light=light)
    return dg.SensorResult(
        asset_events=events,
        cursor=checks.cursor_of(memory),
        skip_reason=f"red: {', '.join(red) or 'nothing'}; {len(raised)} alerts written",
    )
