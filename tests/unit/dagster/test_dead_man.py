"""When nobody watches, freshness says so: Dagster's own evaluator over what our sensor reports."""

import asyncio
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
from dagster._core.definitions.freshness import FreshnessState
from dagster._core.definitions.freshness_evaluator import TimeWindowFreshnessPolicyEvaluator
from dagster._core.loader import LoadingContextForTest
from dagster._core.test_utils import freeze_time

from dolphin_dagster.definitions import build_definitions
from dolphin_dagster.realtime.assets import make_assets
from dolphin_dagster.realtime.sensor import Memory, events, report
from dolphin_dagster.realtime.snapshot import Snapshot
from dolphin_dagster.realtime.table import make_rules, verdicts
from dolphin_realtime.config.loading import load

SETTINGS = load({})
ASSETS = [spec.key.to_user_string() for spec in make_assets(SETTINGS)]
NODE = build_definitions(SETTINGS).resolve_asset_graph().get(dg.AssetKey("bridge"))


@pytest.fixture
def instance():
    with dg.instance_for_test() as instance:
        yield instance


def tick(instance, memory, now):
    """Do what a tick of the sensor does, whatever the services say."""
    with freeze_time(now):
        found = verdicts(make_rules(SETTINGS), Snapshot(now=now, fault="away"))
        told = report(ASSETS, found, memory, now)
        for event in events(told, found):
            instance.report_runless_asset_event(event)
    return told.memory


def state(instance, now):
    with freeze_time(now):
        evaluator, context = TimeWindowFreshnessPolicyEvaluator(), LoadingContextForTest(instance)
        return asyncio.run(evaluator.evaluate_freshness(context, NODE))


def test_a_sensor_that_stops_shows_as_a_warning_then_as_a_failure(instance):
    began = datetime.now(UTC)
    assert state(instance, began) == FreshnessState.UNKNOWN
    memory = Memory()
    for minute in range(0, 31, 5):
        memory = tick(instance, memory, began + timedelta(minutes=minute))
        assert state(instance, began + timedelta(minutes=minute)) == FreshnessState.PASS
    last = began + timedelta(minutes=30)
    assert state(instance, last + timedelta(minutes=14)) == FreshnessState.PASS
    assert state(instance, last + timedelta(minutes=16)) == FreshnessState.WARN
    assert state(instance, last + timedelta(minutes=31)) == FreshnessState.FAIL
    tick(instance, memory, last + timedelta(minutes=32))
    assert state(instance, last + timedelta(minutes=32)) == FreshnessState.PASS
