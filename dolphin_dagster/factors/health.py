"""`exf_latest` as an asset of its own, and the sensor that sees readings die.

A run judges its readings when it comes; a source that is down, or a schedule that is off, brings
no run. So a sensor looks at the document, reports what changed, and writes an alert once when a
factor dies and once when it lives again. Looking and reporting belong here; the rules are
verdicts.py's.
"""

import json
from datetime import UTC, datetime
from typing import Any, Final

import dagster as dg

from dolphin_dagster import checks, pools
from dolphin_dagster.checks import Verdict
from dolphin_dagster.factors.registry import external
from dolphin_dagster.factors.stack import FactorStack
from dolphin_dagster.factors.verdicts import IS_FRESH, is_complete, is_fresh, own
from dolphin_realtime.alerts import Alert, write_alert
from dolphin_realtime.model.errors import GridError
from dolphin_realtime.model.factor_document import Readings
from dolphin_realtime.settings import load

NAME: Final = "external_factors"
IS_COMPLETE: Final = "is_complete"
SENSOR_INTERVAL_S: Final = 15
MEANS: Final = "The document holds something of every external factor."

ASSETS: Final = [
    dg.AssetSpec(
        key=NAME,
        group_name="indicators",
        description=(
            "Every reading of every external factor: `DOLPHIN_FEATURES/exf_latest`, which the "
            "trader follows. Written by the assets above it, never by itself."
        ),
        kinds={"hazelcast"},
        owners=["team:dolphin"],
        deps=sorted(external()),
    )
]


def verdicts(held: Readings | None, seen: set[str], wall: datetime) -> dict[checks.Key, Verdict]:
    """Return what is to be said of the document now.

    Args:
        held: Its readings, None where the grid is away: nothing is known then of single
            factors, and nothing is said of them.
        seen: Indicators that were in the document before: the others are not due yet.
        wall: Wall time.
    """
    if held is None:
        away: checks.Facts = {"factors": 0, "readings": 0, "missing": "the grid is away"}
        return {(NAME, IS_COMPLETE): Verdict(False, away)}
    found = {(NAME, IS_COMPLETE): is_complete(external(), held)}
    for name, indicator in external().items():
        if name in seen or own(indicator, held):
            found[(name, IS_FRESH)] = is_fresh(indicator, held, wall)
    return found


def alerts(found: dict[checks.Key, Verdict], last: dict[str, Any], wall: datetime) -> list[Alert]:
    """Return an alert for each factor that died since the last look, and each that lives again."""
    raised = []
    for key, verdict in found.items():
        before = last.get(":".join(key))
        if key[1] != IS_FRESH or before is None or before[0] is None or before[0] == verdict.passed:
            continue
        raised.append(
            Alert(
                ts=wall,
                asset=key[0],
                check=key[1],
                state="recovered" if verdict.passed else "red",
                facts=dict(verdict.facts),
                runbook=f"{checks.RUNBOOK}#factor-{IS_FRESH}",
            )
        )
    return raised


def look(
    held: Readings | None, last: dict[str, Any], wall: datetime
) -> tuple[list[checks.Key], dict[checks.Key, Verdict], list[Alert], dict[str, Any]]:
    """Return what is due to be reported, all verdicts, the alerts, and what to remember."""
    seen = {name.split(":")[0] for name in last}
    found = verdicts(held, seen, wall)
    due, memory = checks.changes(found, last, wall)
    due = [key for key in due if not is_runs_own(key, found[key], last)]
    return due, found, alerts(found, last, wall), {**last, **memory}


def is_runs_own(key: checks.Key, verdict: Verdict, last: dict[str, Any]) -> bool:
    """Return whether a verdict is told by runs alone: a factor that lives and was not seen dead.

    Told here as well, it could fall between a run's start and its materialization, and the
    check would show as not evaluated.
    """
    was_red = last.get(":".join(key), [None])[0] is False
    return key[1] == IS_FRESH and verdict.passed and not was_red


def severity(asset: str) -> dg.AssetCheckSeverity:
    """Return ERROR where a gate of the signal reads the factor, else WARN."""
    indicator = external().get(asset)
    is_weighed = indicator is not None and indicator.is_weighed
    return dg.AssetCheckSeverity.ERROR if is_weighed else dg.AssetCheckSeverity.WARN


def read(stack: FactorStack) -> Readings | None:
    """Return the grid's readings, None where the grid is away."""
    try:
        return stack.held()
    except GridError as e:
        dg.get_dagster_logger().warning(f"factors are not seen: {e}")
        return None


@dg.sensor(
    name="factor_health",
    minimum_interval_seconds=SENSOR_INTERVAL_S,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Reports which external factors are fresh and whether all are there; alerts once.",
)
def factor_health(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    """Look at the document once and report what changed."""
    wall, last = datetime.now(UTC), json.loads(context.cursor) if context.cursor else {}
    due, found, raised, memory = look(read(FactorStack()), last, wall)
    for alert in raised:
        write_alert(load().home, alert)
        context.log.warning(f"{alert.asset} is {alert.state}: {alert.facts}")
    first = [] if last else [dg.AssetMaterialization(NAME)]
    told = [checks.evaluation(key, found[key], severity(key[0])) for key in due]
    return dg.SensorResult(
        asset_events=[*first, *told],
        cursor=json.dumps(memory),
        skip_reason=None if due else "nothing changed",
    )


@dg.multi_asset_check(
    name="factors_are_complete",
    specs=[checks.spec(NAME, IS_COMPLETE, MEANS)],
    can_subset=True,
    pool=pools.INDICATORS,
)
def factors_are_complete() -> dg.AssetCheckResult:
    """Judge the document now, in a run of its own."""
    verdict = is_complete(external(), read(FactorStack()) or {})
    return checks.result(NAME, IS_COMPLETE, verdict.passed, verdict.facts)
