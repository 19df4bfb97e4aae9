"""Factors in a running stack: two writers, a source that is down for a day, a member that forgets."""

import errno
import json
import threading
from datetime import UTC, datetime, timedelta

import dagster as dg
import msgspec
import pytest

from dolphin_dagster.factors import fill, health
from dolphin_dagster.factors.publish import Moment, publish
from dolphin_dagster.factors.registry import external
from dolphin_dagster.factors.stack import FactorStack
from dolphin_dagster.resources import Grid, resources_of
from dolphin_realtime.config.loading import load
from dolphin_realtime.factors.source_memory import CircuitBreaker
from dolphin_realtime.grid import maps
from dolphin_realtime.model.factors.document import (
    FactorReading,
    document_of,
    expiry,
    merge,
    readings_of,
)
from dolphin_realtime.replay.factor_server import Fault
from dolphin_realtime.runtime.alert_log import read_alerts, standing, write_alert
from dolphin_realtime.scans.files import write_scan
from tests.integration.conftest import eventually

WRITES = 1000
WALL = datetime(2026, 1, 1, tzinfo=UTC)


def reading(value, at):
    return FactorReading(
        value=value, unit="u", event_time=at, fetch_time=at, lifetime_s=3600.0,
        expires_at=expiry(at, 3600.0), source="test",
    )  # fmt: skip


def forget(scene):
    scene.desk.client.get_map(maps.FEATURES).blocking().delete(maps.LATEST_FACTORS)


def test_two_writers_lose_nothing_of_each_other(scene):
    """Each writes its own reading a thousand times and never sees the other's go back."""
    the_grid = Grid(cluster_name="dolphin", addresses=[f"127.0.0.1:{scene.desk.stack.port}"])
    market = scene.market()
    went_back, faults = [], []

    def write(mine, other):
        seen = -1.0
        try:
            for n in range(WRITES):
                new = {(mine, None): reading(float(n), market + timedelta(milliseconds=n))}

                def change(held, new=new):
                    return document_of(merge(readings_of(held), new, market), "wall", WALL)

                held = the_grid.update(maps.FEATURES, maps.LATEST_FACTORS, change)
                found = readings_of({"readings": held.readings})
                now = found[(other, None)].value if (other, None) in found else -1.0
                if now < seen or found[(mine, None)].value != n:
                    went_back.append((mine, n, seen, now))
                seen = now
        except Exception as e:  # noqa: BLE001 - told by the assertion below
            faults.append(repr(e))

    pairs = (("one", "other"), ("other", "one"))
    threads = [threading.Thread(target=write, args=pair) for pair in pairs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (went_back, faults) == ([], [])
    found = readings_of(scene.factors())
    assert {found[(name, None)].value for name in ("one", "other")} == {WRITES - 1.0}
    forget(scene)


def test_two_assets_publish_at_once_and_both_are_there(scene, tmp_path):
    the_grid = Grid(cluster_name="dolphin", addresses=[f"127.0.0.1:{scene.desk.stack.port}"])
    market = scene.market()
    rounds = 50

    def write(name):
        for n in range(rounds):
            at = market + timedelta(milliseconds=n)
            new = {(name, None): reading(float(n), at)}
            publish(the_grid, tmp_path / "factors", new, Moment(at, None, "wall"), WALL)

    threads = [threading.Thread(target=write, args=(name,)) for name in ("one", "other")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = readings_of(scene.factors())
    assert {found[(name, None)].value for name in ("one", "other")} == {rounds - 1.0}
    forget(scene)


def test_every_source_becomes_a_reading(scene):
    found = scene.materialize(*sorted(external()))
    assert all(isinstance(facts, dict) for facts in found.values()), found
    assert all(scene.checks.values()), scene.checks
    document = scene.factors()
    assert document["market_clock"] == "replay"
    assert document["simulated"] == "seeded factors, seed 1"
    assert document["readings"]["dvol_btc"]["percentile_90"] > 0
    assert document["readings"]["funding"]["ENAUSDT"]["interval_h"] == 4
    scene.desk.feed(1)
    missing = eventually(lambda: scene.missing() if "dvol" not in scene.missing() else None)
    assert missing.get("funding", 0) == len(scene.desk.document(maps.FEATURES, maps.LATEST_SCAN)["assets"]) - 3  # fmt: skip
    done = scene.desk.cli("factors")
    assert done.returncode == 0, done.stderr
    assert "× 1.0 (90th" in done.stdout or "× 0.5 (90th" in done.stdout
    assert "SIMULATED" in done.stdout
    said = json.loads(scene.desk.cli("factors", "--json").stdout)
    assert said["exf_latest"]["readings"]["vix"]["value"] > 0


def test_a_source_that_is_down_for_a_day(scene):
    """Its gate is neutral and flagged, its check red, one alert each way; nothing else stops."""
    home = scene.desk.stack.home
    path = external()["dvol"].path
    memory = health.Memory()

    def look(wall):
        nonlocal memory
        stack = FactorStack(**resources_of(load()))
        seen = health.Seen(
            held=stack.held(),
            circuits=stack.memory.circuits(),
            assets=stack.scanned(),
            symbols=stack.symbols,
        )
        wrong = health.wrong_in(home)
        _, found, raised, memory = health.look(seen, memory, wrong, wall)
        for alert in raised:
            write_alert(home, alert)
        return found[("dvol", "is_fresh")].passed

    scene.materialize("dvol")
    began = datetime.now(UTC)
    assert look(began)
    scene.replayed.server.misbehave(Fault(path=path, fault="500"))
    scan = scene.desk.next_scan()
    scan = msgspec.structs.replace(scan, timestamp_us=scan.timestamp_us + 24 * 3_600_000_000)
    write_scan(scene.desk.scan_dir, scan)
    scene.desk.wait_journalled(scan)
    assert eventually(lambda: scene.missing().get("dvol")) == 1
    found = scene.materialize("dvol", "fear_greed")
    assert "SourceUnavailable: deribit" in found["dvol"]
    assert found["fear_greed"]["fear_greed"] >= 0, "the others go on"
    assert scene.checks["fear_greed:is_fresh"]
    assert not scene.checks["dvol:source_answers"]
    document = scene.factors()
    assert document["readings"]["dvol_btc"]["expired"]
    states = [look(began + timedelta(minutes=15 * n)) for n in range(1, 96)]
    assert not any(states)
    scene.replayed.server.behave()
    assert isinstance(scene.materialize("dvol")["dvol"], dict)
    assert not scene.factors()["readings"]["dvol_btc"].get("expired")
    assert look(datetime.now(UTC))
    assert look(datetime.now(UTC))
    mine = [a.state for a in read_alerts(home) if a.asset == "dvol"]
    assert mine == ["red", "recovered"]


def test_a_changed_format_fails_at_once_and_keeps_the_last_reading(scene):
    before = scene.factors()["readings"]["fear_greed"]
    scene.replayed.server.misbehave(Fault(path="/fng/", fault="range"))
    asked = scene.replayed.server.asked["/fng/"]
    found = scene.materialize("fear_greed")
    assert "SourceFormatChanged: alternative/fng/: value is" in found["fear_greed"]
    assert scene.replayed.server.asked["/fng/"] == asked + 1
    assert scene.factors()["readings"]["fear_greed"] == before
    assert scene.checks["fear_greed:is_fresh"], "the reading that is held still lives"
    scene.replayed.server.behave()


def test_a_member_that_forgot_gets_back_what_still_lives(scene):
    forget(scene)
    scene.materialize("btc_fees")
    readings = scene.factors()["readings"]
    assert {"btc_fee_hour", "fear_greed", "vix"} <= readings.keys()
    assert "open_interest" not in readings, "it died when the market went on by a day"
    assert not readings["vix"].get("expired")


def test_a_full_disk_keeps_nothing_from_the_grid(scene, tmp_path, monkeypatch):
    def full(_folder, _rows):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("dolphin_dagster.factors.publish.append", full)
    the_grid, market = (
        Grid(cluster_name="dolphin", addresses=[f"127.0.0.1:{scene.desk.stack.port}"]),
        scene.market(),
    )
    new = {("one", None): reading(42.0, market)}
    with pytest.raises(OSError, match="No space left"):
        publish(the_grid, tmp_path / "factors", new, Moment(market, None, "wall"), WALL)
    assert scene.factors()["readings"]["one"]["value"] == 42.0


def test_the_sensor_tells_of_what_died(scene, monkeypatch):
    scene.materialize("btc_fees")
    with dg.instance_for_test() as instance:
        result = health.factor_health(
            dg.build_sensor_context(instance=instance), **resources_of(load())
        )
        told = {
            (e.asset_key.to_user_string(), e.check_name): e.passed
            for e in result.asset_events
            if isinstance(e, dg.AssetCheckEvaluation)
        }
        assert told == {("external_factors", "is_complete"): True}, "runs tell of what lives"
        again = health.factor_health(
            dg.build_sensor_context(instance=instance, cursor=result.cursor), **resources_of(load())
        )
        assert again.asset_events == []
        assert again.skip_reason.skip_message == "nothing changed"


def test_what_the_grid_lacks_is_asked_for_but_not_what_is_off(scene, monkeypatch):
    forget(scene)
    monkeypatch.setenv("DOLPHIN_SOURCE_OFF", "vix, dvol")
    with dg.instance_for_test() as instance:
        asked = fill.factors_due(dg.build_sensor_context(instance=instance), **resources_of(load()))
        names = {key.to_user_string() for key in asked.asset_selection}
        assert names == {*external(), "calendar_factors"} - {"vix", "dvol"}
        again = fill.factors_due(dg.build_sensor_context(instance=instance), **resources_of(load()))
        assert again.run_key == asked.run_key, "not asked for twice in five minutes"
        scene.materialize(*sorted(external()), "calendar_factors")
        done = fill.factors_due(dg.build_sensor_context(instance=instance), **resources_of(load()))
        assert "all there" in done.skip_message
        forget(scene)
        scene.materialize("fear_greed")
        again = fill.factors_due(dg.build_sensor_context(instance=instance), **resources_of(load()))
        assert "all there" in again.skip_message, "what lives came back from the history"


def seen_of(held, failures=0, off=()):
    circuits = dict.fromkeys(
        external(), CircuitBreaker(failures=failures, since=WALL, error="no answer")
    )
    return health.Seen(held=held, circuits=circuits, symbols=["BTCUSDT", "ETHUSDT"], off=off)


def states(raised):
    return {(alert.asset, alert.state) for alert in raised}


def wrong_after(alerts):
    """Return who stands as wrong after some alerts, as the file would."""
    return dict(standing(alerts).keys())


def test_what_is_off_is_not_missed(scene):
    scene.materialize(*sorted(external()))
    held = {
        key: r for key, r in FactorStack(**resources_of(load())).held().items() if key[0] != "vix"
    }
    _, found, _, _ = health.look(seen_of(held), health.Memory(), {}, datetime.now(UTC))
    assert found[("external_factors", "is_complete")].facts["missing"] == "vix"
    _, found, raised, _ = health.look(
        seen_of(held, off={"vix"}), health.Memory(), {}, datetime.now(UTC)
    )
    assert found[("external_factors", "is_complete")].passed
    assert not any(alert.asset == "vix" for alert in raised)
    _, _, raised, memory = health.look(
        seen_of(held, failures=3), health.Memory(), {}, datetime.now(UTC)
    )
    assert ("vix", "red") in states(raised)
    off, wrong = seen_of(held, off=set(external())), wrong_after(raised)
    _, _, raised, _ = health.look(off, memory, wrong, datetime.now(UTC))
    assert raised == [], "what is switched off has not recovered"


def test_a_grid_that_forgot_all_raises_no_alert(scene):
    held = FactorStack(**resources_of(load())).held()
    _, _, _, memory = health.look(seen_of(held), health.Memory(), {}, datetime.now(UTC))
    for nothing in ({}, None):
        _, _, raised, memory = health.look(seen_of(nothing), memory, {}, datetime.now(UTC))
        assert raised == []
