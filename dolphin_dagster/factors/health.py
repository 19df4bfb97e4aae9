"""`exf_latest` as an asset of its own, and the sensor that sees readings expire.

A run checks its readings itself, but a stopped schedule makes no run, and nothing checks readings
between two runs. So a sensor reads the document, reports what changed, and writes one alert when
a factor or its source goes wrong and one when it recovers. Reading and reporting belong here; the
rules belong in verdicts.py.
"""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import dagster as dg
import msgspec

from dolphin_dagster import checks
from dolphin_dagster.checks import Verdict
from dolphin_dagster.factors.registry import external
from dolphin_dagster.factors.stack import FactorStack
from dolphin_dagster.factors.toggles import off_now
from dolphin_dagster.factors.verdicts import (
    ANSWERS,
    IS_FRESH,
    is_complete,
    is_fresh,
    own,
    source_answers,
)
from dolphin_dagster.instance import pools
from dolphin_dagster.resources import Grid, Stack
from dolphin_realtime.factors.files import SCHEMA
from dolphin_realtime.factors.source_memory import CircuitBreaker
from dolphin_realtime.model.errors import GridError
from dolphin_realtime.model.factors.document import Readings
from dolphin_realtime.runtime.alert_log import Alert, read_alerts, standing, write_alert

NAME: Final = "external_factors"
IS_COMPLETE: Final = "is_complete"
SENSOR_INTERVAL_S: Final = 15
MEANS: Final = "The document holds something of every external factor."


def _columns() -> dg.TableSchema:
    return dg.TableSchema(columns=[dg.TableColumn(f.name, str(f.type)) for f in SCHEMA])


ASSETS: Final = [
    dg.AssetSpec(
        key=NAME,
        group_name="indicators",
        description=(
            "Every reading of every external factor: `DOLPHIN_FEATURES/exf_latest`, which the "
            "trader follows. Written by the assets it depends on, never by a run of its own."
        ),
        kinds={"hazelcast"},
        owners=["team:dolphin"],
        deps=sorted(external()),
        metadata={"dagster/column_schema": _columns()},
    )
]


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """What the sensor remembers.

    Attributes:
        told: What was last reported of each check.
    """

    told: dict[str, checks.LastReported] = {}


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What is judged at one instant.

    Attributes:
        held: The grid's readings, None if the grid is away.
        circuits: Each indicator's circuit breaker: its consecutive failures.
        assets: Assets of the newest scan; None if unknown.
        symbols: Assets of the per-symbol factors, from the settings.
        off: Indicators that are switched off: nothing is expected of them.
    """

    held: Readings | None
    circuits: Mapping[str, CircuitBreaker]
    assets: Collection[str] | None = None
    symbols: Collection[str] = ()
    off: Collection[str] = ()


def verdicts(seen: Seen, known: set[str], wall: datetime) -> dict[checks.Key, Verdict]:
    """Return the current verdicts about the document.

    Args:
        seen: What is judged. If the grid is away or holds no reading at all, single factors
            get no verdict.
        known: Indicators that were judged before; others are judged from their first reading on.
        wall: Wall time.
    """
    mine = {name: i for name, i in external().items() if name not in seen.off}
    if seen.held is None:
        away: checks.Facts = {"factors": 0, "readings": 0, "missing": "the grid is away"}
        return {(NAME, IS_COMPLETE): Verdict(False, away, summary="away")}
    found = {(NAME, IS_COMPLETE): is_complete(mine, seen.held)}
    for name, indicator in mine.items() if seen.held else ():
        if name in known or own(indicator, seen.held):
            assets = indicator.expected(seen.assets, seen.symbols)
            found[(name, IS_FRESH)] = is_fresh(indicator, seen.held, wall, assets)
    return found


def alerts(
    found: dict[checks.Key, Verdict], seen: Seen, last: dict[str, str], wall: datetime
) -> list[Alert]:
    """Return an alert for each factor that went wrong or recovered.

    A factor is wrong while its readings are expired or its source failed twice in a row. Each
    episode gets one alert, under the name of the check that failed first. A factor that is
    switched off keeps its last state. ``last`` holds the factors that were wrong, with the check.
    """
    raised: list[Alert] = []
    for name in external():
        fresh, told = found.get((name, IS_FRESH)), last.get(name)
        circuit = seen.circuits.get(name, CircuitBreaker())
        is_off = name in seen.off
        is_bad = bool(told) if is_off else is_wrong(fresh, circuit, was_wrong=bool(told))
        check = told or (IS_FRESH if fresh is not None and not fresh.passed else ANSWERS)
        if is_bad != bool(told):
            facts = {**({} if fresh is None else fresh.facts), **source_answers(circuit).facts}
            raised.append(
                Alert(
                    ts=wall,
                    asset=name,
                    check=check,
                    state="red" if is_bad else "recovered",
                    facts=facts,
                    runbook=f"{checks.RUNBOOK}#factor-{check}",
                )
            )
    return raised


def is_wrong(fresh: Verdict | None, circuit: CircuitBreaker, *, was_wrong: bool) -> bool:
    """Return whether a factor is wrong; without a verdict on its readings, it stays as it was."""
    if circuit.is_failing:
        return True
    return was_wrong if fresh is None else not fresh.passed


def wrong_in(home: Path) -> dict[str, str]:
    """Return each factor with an active alert in the alerts file, and the check it names."""
    return {
        asset: check
        for asset, check in standing(read_alerts(home))
        if asset in external() and check in (IS_FRESH, ANSWERS)
    }


def look(
    seen: Seen, last: Memory, wrong: dict[str, str], wall: datetime
) -> tuple[list[checks.Key], dict[checks.Key, Verdict], list[Alert], Memory]:
    """Return which checks to report, all verdicts, the alerts, and what to remember.

    Args:
        seen: What is judged.
        last: What was reported.
        wrong: Factors with an active alert, and the check it names.
        wall: Wall time.
    """
    known = {name.split(":")[0] for name in last.told if name.endswith(f":{IS_FRESH}")}
    found = verdicts(seen, known, wall)
    due, told = checks.changes(found, last.told, wall)
    due = [key for key in due if not is_runs_own(key, found[key], last.told)]
    raised = alerts(found, seen, wrong, wall)
    return due, found, raised, Memory(told={**last.told, **told})


def is_runs_own(key: checks.Key, verdict: Verdict, told: Mapping[str, checks.LastReported]) -> bool:
    """Return whether only runs report a verdict: a fresh factor that was not reported red.

    If the sensor reported it too, the event could fall between a run's start and its
    materialization, and the check would show as not evaluated.
    """
    before = told.get(":".join(key))
    was_red = before is not None and before.passed is False
    return key[1] == IS_FRESH and verdict.passed and not was_red


def severity(asset: str) -> dg.AssetCheckSeverity:
    """Return ERROR where a gate of the signal reads the factor, else WARN."""
    indicator = external().get(asset)
    is_weighed = indicator is not None and indicator.is_weighed
    return dg.AssetCheckSeverity.ERROR if is_weighed else dg.AssetCheckSeverity.WARN


def see(stack: FactorStack, instance: dg.DagsterInstance) -> Seen:
    """Return what is judged now."""
    return Seen(
        held=read(stack),
        circuits=stack.memory.circuits(),
        assets=stack.scanned(),
        symbols=stack.symbols,
        off=off_now(instance),
    )


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
    description="Reports which external factors are expired or missing; one alert an episode.",
)
def factor_health(context: dg.SensorEvaluationContext, stack: Stack, grid: Grid) -> dg.SensorResult:
    """Look at the document once and report what changed."""
    wall, last = datetime.now(UTC), checks.remembered(context.cursor, Memory)
    home, seen = stack.settings.home, see(FactorStack(stack, grid), context.instance)
    due, found, raised, memory = look(seen, last, wrong_in(home), wall)
    for alert in raised:
        write_alert(home, alert)
        context.log.warning(f"{alert.asset} is {alert.state}: {alert.facts}")
    first = [] if last.told else [dg.AssetMaterialization(NAME)]
    told = [checks.evaluation(key, found[key], severity(key[0])) for key in due]
    return dg.SensorResult(
        asset_events=[*first, *told],
        cursor=checks.cursor_of(memory),
        skip_reason=None if due else "nothing changed",
    )


@dg.multi_asset_check(
    name="factors_are_complete",
    specs=[checks.spec(NAME, IS_COMPLETE, MEANS)],
    can_subset=True,
    pool=pools.INDICATORS,
)
def factors_are_complete(
    context: dg.AssetCheckExecutionContext, stack: Stack, grid: Grid
) -> dg.AssetCheckResult:
    """Check the document now, in a run of its own."""
    off = off_now(context.instance)
    wanted = {name: i for name, i in external().items() if name not in off}
    verdict = is_complete(wanted, read(FactorStack(stack, grid)) or {})
    return checks.result(NAME, IS_COMPLETE, verdict.passed, verdict.facts)
