"""The realtime services as external assets, and the checks that show their health.

Assets, check definitions and the sensor that reports them belong here; the rules are
realtime_checks.py's. The sensor costs no process an evaluation: it writes events on a
change, and a refresh now and then.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import dagster as dg

from dolphin_dagster import pools
from dolphin_dagster.realtime_checks import RULES, CheckRule, Snapshot, Verdict, describe
from dolphin_dagster.resources import Grid
from dolphin_realtime import grid
from dolphin_realtime.model.errors import GridError
from dolphin_realtime.settings import Settings, load

SENSOR_INTERVAL_S: Final = 10
REFRESH: Final = timedelta(minutes=10)
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


def _metadata(verdict: Verdict) -> dict[str, Any]:
    return dict(verdict.facts)


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
                metadata=_metadata(verdict),
            )


def changes(
    snapshot: Snapshot, last: dict[str, Any], now: datetime
) -> tuple[list[tuple[CheckRule, Verdict]], dict[str, Any]]:
    """Return the verdicts worth an event, and what to remember.

    Args:
        snapshot: The grid's documents.
        last: What the last call returned: by check, [passed, when it was reported].
        now: Wall time.
    """
    due: list[tuple[CheckRule, Verdict]] = []
    memory: dict[str, Any] = {}
    for rule in RULES:
        name = f"{rule.asset}:{rule.name}"
        verdict = rule.rule(snapshot)
        before = last.get(name)
        memory[name] = before or [None, now.isoformat()]
        is_old = now - datetime.fromisoformat(memory[name][1]) >= REFRESH
        if is_old or memory[name][0] != verdict.passed:
            due.append((rule, verdict))
            memory[name] = [verdict.passed, now.isoformat()]
    return due, memory


def events(
    due: list[tuple[CheckRule, Verdict]], *, is_first: bool
) -> list[dg.AssetMaterialization | dg.AssetCheckEvaluation]:
    """Return the events to report: at first each asset once, so that it is not amber."""
    found: list[dg.AssetMaterialization | dg.AssetCheckEvaluation] = []
    if is_first:
        found += [dg.AssetMaterialization(spec.key) for spec in ASSETS]
    for rule, verdict in due:
        found.append(
            dg.AssetCheckEvaluation(
                asset_key=dg.AssetKey(rule.asset),
                check_name=rule.name,
                passed=verdict.passed,
                severity=dg.AssetCheckSeverity.ERROR,
                metadata=_metadata(verdict),
            )
        )
    return found


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
    due, memory = changes(read_snapshot(load(), now), last, now)
    return dg.SensorResult(
        asset_events=events(due, is_first=not last),
        cursor=json.dumps(memory),
        skip_reason=None if due else "nothing changed",
    )
