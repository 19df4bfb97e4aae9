"""What systemctl shows becomes a status: who stopped it, what it said, since when."""

from datetime import UTC, datetime

import pytest

from dolphin_realtime.cli.recovery import duration
from dolphin_realtime.config.settings import Settings
from dolphin_realtime.model.errors import SettingsError
from dolphin_realtime.ops.managers.find import manager_of
from dolphin_realtime.ops.managers.local import LocalManager
from dolphin_realtime.ops.managers.systemd import SystemdManager, status_of, unit_of

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SHOWN = {
    "Id": "dolphin-trader@BLUE.service", "ActiveState": "active", "SubState": "running",
    "Result": "success", "MainPID": "183", "NRestarts": "2", "MemoryCurrent": "349261824",
    "StatusText": "ready", "StateChangeTimestampMonotonic": "5000000",
}  # fmt: skip


def shown(**changed):
    return status_of({**SHOWN, **changed}, NOW, 65_000_000)


def test_a_running_unit():
    found = shown()
    assert (found.name, found.state, found.pid, found.restarts) == (
        "trader@BLUE",
        "running",
        183,
        2,
    )
    assert (found.age_s, found.since, found.rss_mb) == (60.0, "2025-12-31T23:59:00+00:00", 349.3)
    assert (found.said, found.is_wanted) == ("ready", True)


@pytest.mark.parametrize(
    ("active", "sub", "result", "state", "is_wanted"),
    [
        ("inactive", "dead", "success", "stopped", False),
        ("failed", "failed", "start-limit-hit", "failed", True),
        ("failed", "failed", "signal", "failed", True),
        ("failed", "failed", "exit-code", "failed", True),
        ("failed", "failed", "timeout", "failed", False),
        ("activating", "auto-restart", "watchdog", "backoff", True),
        ("activating", "start", "success", "starting", True),
        ("deactivating", "stop-sigterm", "success", "stopping", True),
    ],
)
def test_what_a_unit_is_and_whether_it_is_meant_to_run(active, sub, result, state, is_wanted):
    found = shown(ActiveState=active, SubState=sub, Result=result, MainPID="0")
    assert (found.state, found.is_wanted, found.pid) == (state, is_wanted, None)


def test_memory_that_systemd_does_not_count_is_none():
    assert shown(MemoryCurrent="[not set]").rss_mb is None


def test_the_setting_says_who_keeps_the_services(tmp_path):
    assert unit_of("trader@BLUE") == "dolphin-trader@BLUE.service"
    assert isinstance(manager_of(Settings(home=tmp_path, manager="systemd")), SystemdManager)
    assert isinstance(manager_of(Settings(home=tmp_path, manager="local")), LocalManager)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "runner.sock").touch()
    assert isinstance(manager_of(Settings(home=tmp_path)), LocalManager)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("30m", 1800), ("2h", 7200), ("7d", 604800)]
)
def test_a_duration(text, seconds):
    assert duration(text).total_seconds() == seconds


@pytest.mark.parametrize("text", ["", "30", "m", "0m", "8d", "-1h", "1.5h"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(SettingsError, match="--for"):
        duration(text)
