"""The realtime services as external assets, and the checks that show their health.

Assets, check definitions and the sensor that reports them belong here; the rules are
realtime_checks.py's.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Final

import dagster as dg

from dolphin_dagster import checks, pools
from dolphin_dagster.checks import Verdict
from dolphin_dagster.realtime_checks import RULES, Snapshot, describe, verdicts
from dolphin_dagster.resources import Grid
from dolphin_realtime import grid
from dolphin_realtime.model.errors import GridError
from dolphin_realtime.settings import Settings, load

SENSOR_INTERVAL_S: Final = 10
GROUP: Final = "realtime"
BEATING: Final = ("hazelcast", "bridge", "safety")

_DESCRIPTIONS: Final = {
    "hazelcast": ("The grid that carries every document between services.", set()),
    "scan_feed": (
        "NG6's scans as they are in the grid: `DOLPHIN_FEATURES/latest_eigen_scan`.",
        {"arrow"},
    ),
    "bridge": (
        "The scan bridge: scan files into the grid within milliseconds.",
        {"python", "arrow"},
    ),
    "trader": ("The trader: `compute_signal` and Nautilus orders on the paper venue.", {"python"}),
    "safety": ("The posture of all traders.", {"python"}),
    "meta_health": ("Five health sensors, one number: `DOLPHIN_META_HEALTH/latest`.", {"python"}),
}
_DEPS: Final = {
    "bridge": ["hazelcast"],
    "scan_feed": ["bridge"],
    "trader": ["scan_feed", "safety"],
    "safety": ["hazelcast"],
    "meta_health": ["hazelcast"],
}

ASSETS: Final = [
    dg.AssetSpec(
        key=name,
        group_name=GROUP,
        description=f"{text} Runs outside Dagster; seen here through its checks.",
        kinds=kinds,
        owners=["team:dolphin"],
        deps=_DEPS.get(name, []),
    )
    for name, (text, kinds) in _DESCRIPTIONS.items()
]


def read_snapshot(settings: Settings, now: datetime) -> Snapshot:
    """Return the grid's documents now; a grid that is away is a snapshot with a fault."""
    the_grid = Grid(settings.cluster_name, settings.hazelcast_port)
    instance = settings.instance_names[0]
    beating = [*BEATING, f"trader@{instance}"]
    try:
        return Snapshot(
            now=now,
            instance=instance,
            scan=the_grid.get(grid.FEATURES, grid.LATEST_SCAN),
            safety=the_grid.get(grid.SAFETY, grid.LATEST),
            health=the_grid.get(grid.META_HEALTH, grid.LATEST),
            state=the_grid.get(grid.state_map(instance), grid.LATEST_STATE),
            heartbeats={name: the_grid.get(grid.HEARTBEAT, name) for name in beating},
        )
    except GridError as e:
        return Snapshot(now=now, instance=instance, fault=str(e))


@dg.multi_asset_check(
    name="realtime_checks",
    specs=[
        dg.AssetCheckSpec(rule.name, asset=rule.asset, description=describe(rule)) for rule in RULES
    ],
    can_subset=True,
    pool=pools.DOLPHIN,
)
def realtime_checks(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
    """Evaluate the selected checks now, in a run of their own."""
    snapshot = read_snapshot(load(), datetime.now(UTC))
    for rule in RULES:
        key = dg.AssetCheckKey(dg.AssetKey(rule.asset), rule.name)
        if key in context.selected_asset_check_keys:
            verdict = rule.rule(snapshot)
            yield dg.AssetCheckResult(
                asset_key=rule.asset,
                check_name=rule.name,
                passed=verdict.passed,
                metadata=dict(verdict.facts),
            )


def events(
    due: list[checks.Key], found: Mapping[checks.Key, Verdict], *, is_first: bool
) -> list[dg.AssetMaterialization | dg.AssetCheckEvaluation]:
    """Return the events to report: at first each asset once, so that it is not amber."""
    first = [dg.AssetMaterialization(spec.key) for spec in ASSETS] if is_first else []
    told = [checks.evaluation(key, found[key], dg.AssetCheckSeverity.ERROR) for key in due]
    return [*first, *told]


@dg.sensor(
    name="realtime_health",
    minimum_interval_seconds=SENSOR_INTERVAL_S,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Reports the checks of the realtime services: on a change, and every ten minutes.",
)
def realtime_health(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    """Look at the grid once and report what changed."""
    now = datetime.now(UTC)
    last = json.loads(context.cursor) if context.cursor else {}
    found = verdicts(read_snapshot(load(), now))
    due, memory = checks.changes(found, last, now)
    return dg.SensorResult(
        asset_events=events(due, found, is_first=not last),
        cursor=json.dumps(memory),
        skip_reason=None if due else "nothing changed",
    )
