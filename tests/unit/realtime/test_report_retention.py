"""Old reports go, and nothing else: whatever lies among them."""

from datetime import UTC, datetime, timedelta

from dolphin_realtime.reports.retention import clear_reports


def made(reports, *places):
    for place in places:
        (reports / place).mkdir(parents=True)
        (reports / place / "report.html").write_text("x")


def left(reports):
    return {str(p.parent.relative_to(reports)) for p in reports.rglob("report.html")}


def test_what_is_older_than_the_newest_by_so_many_days_goes(tmp_path):
    old = {"paper/BLUE/2025-01-01", "weekly/BLUE/2024-12-30", "trials/BLUE/2025-01-01/x"}
    new = {"paper/BLUE/2025-02-01", "backtest/GREEN/2025-01-31", "sweeps/one"}
    made(tmp_path, *old, *new)
    assert len(clear_reports(tmp_path, 10)) == 3
    assert left(tmp_path) == new


def test_zero_keeps_all(tmp_path):
    made(tmp_path, "paper/BLUE/2020-01-01", "paper/BLUE/2025-01-01")
    assert clear_reports(tmp_path, 0) == []


def test_a_report_of_the_future_makes_none_old_and_a_link_stops_nothing(tmp_path):
    today = datetime.now(UTC).date()
    made(tmp_path, "paper/BLUE/2190-01-01", f"paper/BLUE/{today - timedelta(days=5)}", "paper/BLUE/2020-01-01", "elsewhere")  # fmt: skip
    (tmp_path / "paper/BLUE/2019-01-01").symlink_to(tmp_path / "elsewhere")
    assert [p.name for p in clear_reports(tmp_path, 30)] == ["2020-01-01"]
    assert "elsewhere" in left(tmp_path)
