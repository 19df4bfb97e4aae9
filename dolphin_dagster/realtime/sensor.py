"""Reports the realtime services' checks: by a sensor, and by a run that an operator starts.

A tick needs no process: it looks once, and writes events on a change and every ten minutes.
A refresh materializes an asset and then reports all its checks, since Dagster counts only results
of the newest materialization. If the sensor stops, the assets' freshness shows it.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Final

import dagster as dg
import msgspec

from dolphin_dagster import checks
from dolphin_dagster.checks import LastReported, Verdict
from dolphin_dagster.instance import pools
from dolphin_dagster.realtime.assets import make_assets
from dolphin_dagster.realtime.snapshot import read_snapshot
from dolphin_dagster.realtime.table import make_rules, verdicts
from dolphin_dagster.resources import Grid, Stack
from dolphin_realtime.config.settings import Settings

NAME: Final = "realtime_health"
SENSOR_INTERVAL_S: Final = 15
"""A stopped service must turn red within 45 s: the daemon adds up to 5 s, a tick up to 1 s."""


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """The sensor's cursor: when each asset was materialized, and each check's last report."""

    shown: dict[str, datetime] = {}
    told: dict[str, LastReported] = {}


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What one tick reports: assets to materialize, and checks to report."""

    assets: list[str]
    due: list[checks.Key]
    memory: Memory


def report(
    assets: list[str], found: Mapping[checks.Key, Verdict], last: Memory, now: datetime
) -> Report:
    """Return what needs an event now.

    Args:
        assets: Keys of all assets.
        found: Every verdict, by check.
        last: The memory that the last call returned.
        now: Wall time.
    """
    old = [a for a in assets if a not in last.shown or now - last.shown[a] >= checks.REFRESH]
    changed, told = checks.changes(found, last.told, now)
    due = [key for key in found if key in changed or key[0] in old]
    told |= {":".join(k): LastReported(now, found[k].passed, found[k].summary) for k in due}
    shown = {a: now if a in old else last.shown[a] for a in assets}
    return Report(assets=old, due=due, memory=Memory(shown=shown, told=told))


def events(
    told: Report, found: Mapping[checks.Key, Verdict]
) -> list[dg.AssetMaterialization | dg.AssetCheckEvaluation]:
    """Return a tick's events in their order: assets first."""
    shown = [dg.AssetMaterialization(dg.AssetKey(name)) for name in told.assets]
    error = dg.AssetCheckSeverity.ERROR
    return [*shown, *(checks.evaluation(key, found[key], error) for key in told.due)]


@dg.sensor(
    name=NAME,
    minimum_interval_seconds=SENSOR_INTERVAL_S,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Reports the checks of the realtime services: on a change, and every ten minutes.",
)
def realtime_health(
    context: dg.SensorEvaluationContext, stack: Stack, grid: Grid
) -> dg.SensorResult:
    """Look at the services once and report what changed."""
    settings = stack.settings
    snapshot = read_snapshot(settings, grid)
    now, found = snapshot.now, verdicts(make_rules(settings), snapshot)
    assets = [spec.key.to_user_string() for spec in make_assets(settings)]
    told = report(assets, found, checks.remembered(context.cursor, Memory), now)
    red = [":".join(key) for key, verdict in found.items() if not verdict.passed]
    return dg.SensorResult(
        asset_events=events(told, found),
        cursor=checks.cursor_of(told.memory),
        skip_reason=f"told {len(told.due)} of {len(found)} checks; red: {', '.join(red) or 'none'}",
    )


def make_checks(settings: Settings) -> dg.AssetChecksDefinition:
    """Return the checks of the stack's services, for a run that an operator starts."""
    rules = make_rules(settings)

    @dg.multi_asset_check(
        name="realtime_checks",
        specs=[
            dg.AssetCheckSpec(rule.name, asset=rule.asset, description=rule.description)
            for rule in rules
        ],
        can_subset=True,
        pool=pools.DOLPHIN,
    )
    def realtime_checks(
        context: dg.AssetCheckExecutionContext, stack: Stack, grid: Grid
    ) -> Iterator[dg.AssetCheckResult]:
        """Evaluate the selected checks now, in a run of their own."""
        found = verdicts(rules, read_snapshot(stack.settings, grid))
        for rule in rules:
            key = dg.AssetCheckKey(dg.AssetKey(rule.asset), rule.name)
            if key in context.selected_asset_check_keys:
                verdict = found[rule.key]
                yield checks.result(
                    rule.asset, rule.name, verdict.passed, verdict.facts, is_error=True
                )

    return realtime_checks
