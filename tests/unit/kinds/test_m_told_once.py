"""Kind M, what was told is remembered twice: with the cursors or Dagster's storage gone, one memory stays."""

import dagster as dg

from dolphin_dagster.definitions import build_definitions
from dolphin_realtime.config.loading import load
from dolphin_realtime.runtime.alert_log import Alert, read_alerts, standing, write_alert
from tests.unit.dagster.test_alerting import NOW, look
from tests.unit.dagster.test_alerting import stack as stack


def test_a_cursor_that_is_gone_tells_nothing_again_and_what_is_well_is_taken_back(stack):
    home, _, tick, report = stack
    report(passed=False)
    tick(tick(tick(None)))
    assert len(read_alerts(home)) == 1
    tick(tick(None))
    assert len(read_alerts(home)) == 1
    report(passed=True)
    tick(tick(None))
    assert standing(read_alerts(home)) == {}
    assert len(read_alerts(home)) == 2


def test_a_storage_that_is_gone_leaves_red_what_it_knows_nothing_of(tmp_path, monkeypatch):
    """A new instance on the same home: nothing is told again, nothing is taken back unseen."""
    monkeypatch.setenv("DOLPHIN_HOME", str(tmp_path))
    repository = build_definitions(load()).get_repository_def()
    kinds = [("bridge", "is_alive"), ("scan_archive 2025-05-12", "run"), ("days_over", "tick")]
    for asset, check in kinds:
        write_alert(tmp_path, Alert(ts=NOW, asset=asset, check=check, state="red",
                                    facts={"why": "before"}, runbook="docs/runbook.md#x"))  # fmt: skip
    with dg.instance_for_test() as instance:
        cursor = None
        for _ in range(3):
            cursor = look(instance, repository, tmp_path, cursor).cursor
        assert standing(read_alerts(tmp_path)).keys() == set(kinds)
        assert len(read_alerts(tmp_path)) == 3
        instance.report_runless_asset_event(
            dg.AssetCheckEvaluation(
                asset_key=dg.AssetKey("bridge"), check_name="is_alive", passed=True
            )
        )
        look(instance, repository, tmp_path, cursor)
    assert ("bridge", "is_alive") not in standing(read_alerts(tmp_path))
