"""What follows from what: the daily work's conditions, evaluated by Dagster on an instance of their own."""

from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from dolphin_dagster.daily.conditions import SENSORS
from dolphin_dagster.daily.days_over import event
from dolphin_dagster.daily.inputs import Input
from dolphin_dagster.definitions import build_definitions
from dolphin_realtime.config.settings import Settings

pytestmark = pytest.mark.filterwarnings("ignore::dagster_shared.utils.warnings.BetaWarning")
DAYS = ("2025-05-12", "2025-05-13", "2025-05-14")
PRODUCTS = (
    "scan_archive", "orderbook_archive", "daily_backtest", "paper_report", "backtest_vs_paper",
    "weekly_summary",
)  # fmt: skip


def key_of(asset):
    key = asset.key if isinstance(asset, dg.AssetSpec) else next(iter(asset.keys))
    return key.to_user_string()


def stub(asset):
    """Return an asset with the specs and checks of a real one, whose runs do nothing."""

    @dg.multi_asset(
        name=key_of(asset), specs=list(asset.specs), check_specs=list(asset.check_specs)
    )
    def nothing(context):
        red = (context.run.tags.get("test/red") or "").split()
        if "run" in red:
            raise dg.Failure("as the test asked")
        yield dg.MaterializeResult(asset_key=asset.key)
        for spec in asset.check_specs:
            yield dg.AssetCheckResult(
                asset_key=asset.key, check_name=spec.name, passed=spec.name not in red
            )

    return nothing


class World:
    """An instance with the product's assets, deps, checks and conditions; their work is a stub."""

    def __init__(self, instance):
        settings = Settings(
            instances="BLUE,GREEN", archive_first_day=DAYS[0], archive_last_day=DAYS[-1]
        )
        self.instance, self.cursors = instance, {}
        self.now = datetime(2026, 1, 1, 12, 30, tzinfo=UTC)
        whole = build_definitions(settings).assets
        self.stubs = {key_of(a): stub(a) for a in whole if key_of(a) in PRODUCTS}
        inputs = [a for a in whole if key_of(a) in ("scan_files", "book_files", "trading_days")]
        self.definitions = dg.Definitions(assets=[*inputs, *self.stubs.values()])

    def asks(self):
        """Evaluate each sensor's conditions once; return the partitions wanted, by asset."""
        found = {}
        for sensor in SENSORS:
            done = dg.evaluate_automation_conditions(
                self.definitions, self.instance, asset_selection=sensor.asset_selection,
                cursor=self.cursors.get(sensor.name), evaluation_time=self.now,
            )  # fmt: skip
            self.cursors[sensor.name] = done.cursor
            for one in done.results:
                keys = sorted(one.true_subset.expensively_compute_partition_keys())
                found |= {one.key.to_user_string(): keys} if keys else {}
        return found

    def over(self, asset, partition, version="1"):
        self.instance.report_runless_asset_event(event(Input(asset, partition, version)))

    def made(self, asset, *partitions, red=""):
        for partition in partitions:
            dg.materialize(
                [self.stubs[asset]],
                instance=self.instance,
                partition_key=partition,
                tags={"test/red": red},
                raise_on_error=False,
            )


@pytest.fixture
def world():
    with dg.instance_for_test() as instance:
        world = World(instance)
        world.asks()  # the first look asks for nothing: what ran before it is not known
        yield world


def test_nothing_is_asked_for_while_no_day_is_over(world):
    assert world.asks() == {}
    assert world.asks() == {}


def test_a_day_goes_its_way_for_every_instance(world):
    world.over("scan_files", DAYS[0])
    assert world.asks() == {"scan_archive": [DAYS[0]]}
    world.made("scan_archive", DAYS[0])
    assert world.asks() == {"daily_backtest": [f"{DAYS[0]}|BLUE", f"{DAYS[0]}|GREEN"]}
    world.made("daily_backtest", f"{DAYS[0]}|BLUE", f"{DAYS[0]}|GREEN")
    world.over("trading_days", f"{DAYS[0]}|GREEN")
    assert world.asks() == {"paper_report": [f"{DAYS[0]}|GREEN"]}
    world.made("paper_report", f"{DAYS[0]}|GREEN")
    assert world.asks() == {"backtest_vs_paper": [f"{DAYS[0]}|GREEN"]}
    world.made("backtest_vs_paper", f"{DAYS[0]}|GREEN")
    assert world.asks() == {"weekly_summary": [f"GREEN|{DAYS[0]}"]}
    world.made("weekly_summary", f"GREEN|{DAYS[0]}")
    assert world.asks() == {}


def test_the_look_after_a_request_asks_for_nothing_and_a_lost_request_is_repeated(world):
    """A run may have ended while that look went on: what it made is not read yet."""
    world.over("scan_files", DAYS[0])
    assert world.asks() == {"scan_archive": [DAYS[0]]}
    assert world.asks() == {}
    assert world.asks() == {"scan_archive": [DAYS[0]]}


def test_a_late_scan_makes_its_day_again_and_no_other(world):
    for day in DAYS[:2]:
        world.over("scan_files", day)
        world.made("scan_archive", day)
        world.made("daily_backtest", f"{day}|BLUE", f"{day}|GREEN")
    world.asks()
    assert world.asks() == {}
    world.over("scan_files", DAYS[0], "2")
    assert world.asks() == {"scan_archive": [DAYS[0]]}
    world.made("scan_archive", DAYS[0])
    assert world.asks() == {"daily_backtest": [f"{DAYS[0]}|BLUE", f"{DAYS[0]}|GREEN"]}


def test_a_bad_day_is_not_backtested_and_another_is(world):
    for day in DAYS[:2]:
        world.over("scan_files", day)
    world.asks()
    world.made("scan_archive", DAYS[0], red="has_its_scans")
    world.made("scan_archive", DAYS[1])
    assert world.asks() == {"daily_backtest": [f"{DAYS[1]}|BLUE", f"{DAYS[1]}|GREEN"]}
    world.made("daily_backtest", f"{DAYS[1]}|BLUE", f"{DAYS[1]}|GREEN")
    world.over("scan_files", DAYS[0], "2")
    world.asks()
    world.made("scan_archive", DAYS[0])
    assert world.asks() == {"daily_backtest": [f"{DAYS[0]}|BLUE", f"{DAYS[0]}|GREEN"]}


def test_a_backtest_waits_for_books_that_were_recorded(world):
    world.over("scan_files", DAYS[0])
    world.over("book_files", DAYS[0])
    assert world.asks() == {"scan_archive": [DAYS[0]], "orderbook_archive": [DAYS[0]]}
    world.made("scan_archive", DAYS[0])
    assert "daily_backtest" not in world.asks()
    world.made("orderbook_archive", DAYS[0])
    assert world.asks() == {"daily_backtest": [f"{DAYS[0]}|BLUE", f"{DAYS[0]}|GREEN"]}


def test_a_week_waits_for_its_days_but_not_for_those_without_trading(world):
    for day in DAYS[:2]:
        world.over("scan_files", day)
        world.over("trading_days", f"{day}|BLUE")
    world.asks()
    world.made("paper_report", f"{DAYS[0]}|BLUE")
    assert "weekly_summary" not in world.asks(), "a report and two comparisons are to come"
    world.made("paper_report", f"{DAYS[1]}|BLUE")
    assert "weekly_summary" not in world.asks(), "two comparisons are to come: archives are"
    world.made("scan_archive", DAYS[0])
    world.made("scan_archive", DAYS[1], red="has_its_scans")
    assert "weekly_summary" not in world.asks(), "a comparison is to come"
    world.made("backtest_vs_paper", f"{DAYS[0]}|BLUE")
    assert world.asks()["weekly_summary"] == [f"BLUE|{DAYS[0]}"], "the bad day is not waited for"


def test_what_failed_is_tried_again_once_an_hour_and_what_is_blocked_is_not(world):
    for day in DAYS[:2]:
        world.over("scan_files", day)
    world.asks()
    world.made("scan_archive", DAYS[0], red="run")
    world.made("scan_archive", DAYS[1], red="has_its_scans")
    assert world.asks() == {}
    world.now += timedelta(minutes=29)
    assert world.asks() == {}
    world.now += timedelta(minutes=2)
    assert world.asks() == {"scan_archive": [DAYS[0]]}
    world.made("scan_archive", DAYS[0])
    world.now += timedelta(hours=1)
    assert world.asks() == {"daily_backtest": [f"{DAYS[0]}|BLUE", f"{DAYS[0]}|GREEN"]}


def test_what_was_made_and_then_failed_is_tried_again_as_well(world):
    world.over("scan_files", DAYS[0])
    world.asks()
    world.made("scan_archive", DAYS[0])
    world.asks()
    world.over("scan_files", DAYS[0], "2")
    assert world.asks()["scan_archive"] == [DAYS[0]]
    world.made("scan_archive", DAYS[0], red="run")
    assert "scan_archive" not in world.asks()
    world.now += timedelta(hours=1)
    assert world.asks()["scan_archive"] == [DAYS[0]]
