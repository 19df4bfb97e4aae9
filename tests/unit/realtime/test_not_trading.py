"""Why nothing may be opened, and since when."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from dolphin_realtime.cli.not_trading import not_trading
from dolphin_realtime.cli.overview import Overview
from dolphin_realtime.cli.status_view import lines_of
from dolphin_realtime.model.documents import StateDocument
from dolphin_realtime.ops.managers.interface import ServiceStatus

NOW = datetime.now(UTC)
SINCE = (NOW - timedelta(hours=2)).isoformat()
SCAN = {
    "scan_number": 1, "epoch": 1, "timestamp": SINCE, "assets": [], "bridge_ts": NOW.isoformat()
}  # fmt: skip


NORMAL = {"posture": "NORMAL", "since": SINCE, "reasons": []}


def service(name, state="running", **fields):
    return ServiceStatus(
        name=name, state=state, pid=1, since=SINCE, age_s=7200.0, restarts=0, **fields
    )


def state(**fields):
    usual = {"cash": 1.0, "equity": 1.0, "peak_equity": 1.0, "day_loss": 0.0, "positions": []}
    instants = {"updated_at": NOW.isoformat(), "handled_at": NOW.isoformat()}
    return msgspec.convert({**usual, **instants, "journal": {}, **fields}, StateDocument)


def overview(**fields):
    usual = {
        "services": [service(name) for name in ("hazelcast", "bridge", "safety", "trader@BLUE")],
        "ui_port": 1,
        "scan": SCAN,
        "safety": NORMAL,
        "states": {"BLUE": state()},
    }
    found = Overview(**{**usual, **fields})
    if found.safety is not None:
        found.safety = {**found.safety, "ts": datetime.now(UTC).isoformat()}
    return found


BLOCK = {"reason": "CLOCK_SKEW", "since": SINCE}
LOWERED = {"posture": "HALTED", "since": SINCE, "reasons": ["MANUAL"]}


@pytest.mark.parametrize(("fields", "text", "since"), [
    ({"services": [service("bridge", "failed")]}, "SERVICE_DOWN: bridge", SINCE),
    ({"services": [service("bridge", "starting")], "scan": None}, "STARTING: bridge", SINCE),
    ({"grid_error": "no member"}, "GRID_AWAY: no member", None),
    ({"safety": None}, "POSTURE_UNKNOWN", None),
    ({"safety": LOWERED}, "POSTURE_HALTED: MANUAL", SINCE),
    ({"states": {"BLUE": None}}, "NO_STATE: trader BLUE", None),
    ({"states": {"BLUE": state(mismatch="BTC")}}, "RECONCILIATION: BLUE: BTC", None),
    ({"states": {"BLUE": state(journal={"trouble": "JOURNAL_BEHIND"})}}, "JOURNAL_BEHIND: BLUE", None),
    ({"states": {"BLUE": state(entry_block=BLOCK)}}, "CLOCK_SKEW: BLUE: the clocks", SINCE),
    ({"states": {"BLUE": state(handled_at=SINCE)}}, "TRADER_DEAF: BLUE", SINCE),
    ({"states": {"BLUE": state(reasons={"WARMING_UP": 3})}}, "WARMING_UP: BLUE", None),
], ids=lambda v: "since" if v == SINCE else None)  # fmt: skip
def test_why_and_since_when(fields, text, since):
    found = not_trading(overview(**fields))
    assert found.text.startswith(text)
    assert found.since == since


def test_a_stack_that_may_trade_has_no_reason():
    assert not_trading(overview()) is None
    assert str(lines_of(overview())[-1]) == "trading"


def test_every_trader_that_may_not_is_named():
    states = {"BLUE": state(entry_block=BLOCK), "GREEN": None, "RED": state()}
    found = not_trading(overview(states=states))
    assert "CLOCK_SKEW: BLUE" in found.text
    assert "NO_STATE: trader GREEN" in found.text
    assert "RED" not in found.text
    assert found.since == SINCE


def test_it_reads_in_one_line():
    last = str(lines_of(overview(safety=LOWERED))[-1])
    assert last == f"not trading because POSTURE_HALTED: MANUAL, since {SINCE[:19]} UTC"
