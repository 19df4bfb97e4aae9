from datetime import UTC, datetime, timedelta

import pytest

from dolphin_realtime.model.instant import from_us, to_us
from dolphin_realtime.model.market.scan import Scan
from dolphin_realtime.model.risk.posture import (
    InstanceFacts,
    Ladder,
    OperatorCommand,
    Posture,
    SafetyInputs,
    SafetyParams,
    judge,
)
from dolphin_realtime.services.trader.guard import Guard

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def manual(level, action="set"):
    return OperatorCommand(action=action, posture=level, reason="drill", who="op", at=NOW)


def trader(**facts):
    return {"instances": [InstanceFacts(**{"name": "BLUE", "age_s": 1.0, **facts})]}


@pytest.mark.parametrize(
    ("inputs", "posture", "reason"),
    [
        ({}, Posture.NORMAL, None),
        ({"scan_age_s": None}, Posture.CLOSE_ONLY, "NO_SCAN"),
        ({"scan_age_s": 30.0}, Posture.NORMAL, None),
        ({"scan_age_s": 30.1}, Posture.CLOSE_ONLY, "STALE_SCAN"),
        ({"scan_age_s": 30.1, "cadence_s": 20.0}, Posture.NORMAL, None),
        ({"scan_age_s": 60.1, "cadence_s": 20.0}, Posture.CLOSE_ONLY, "STALE_SCAN"),
        ({"health": "DEGRADED"}, Posture.NORMAL, None),
        ({"health": "CRITICAL"}, Posture.REDUCED, "HEALTH_CRITICAL"),
        ({"health": "DEAD"}, Posture.CLOSE_ONLY, "HEALTH_DEAD"),
        ({"health": None}, Posture.CLOSE_ONLY, "HEALTH_UNKNOWN"),
        ({"manual": manual(Posture.HALTED)}, Posture.HALTED, "MANUAL"),
        ({"manual": manual(Posture.REDUCED), "scan_age_s": None}, Posture.CLOSE_ONLY, "NO_SCAN"),
        ({"manual": manual(Posture.CLOSE_ONLY, "flatten")}, Posture.CLOSE_ONLY, "FLATTEN"),
        (trader(drawdown=0.0299), Posture.NORMAL, None),
        (trader(drawdown=0.03), Posture.REDUCED, "DRAWDOWN: BLUE is 3.00% below its peak, tier 3%"),
        (trader(drawdown=0.05), Posture.CLOSE_ONLY, "DRAWDOWN"),
        (trader(drawdown=0.08), Posture.HALTED, "DRAWDOWN"),
        (trader(day_loss=0.0199), Posture.NORMAL, None),
        (trader(day_loss=0.02), Posture.CLOSE_ONLY, "DAILY_LOSS"),
        (trader(rejected=2), Posture.NORMAL, None),
        (trader(rejected=3), Posture.REDUCED, "REJECTS"),
        (trader(mismatch="BTC: 1 against 2"), Posture.HALTED, "RECONCILIATION: BLUE: BTC"),
        (trader(is_shocked=True), Posture.REDUCED, "VOLATILITY_SHOCK"),
        (trader(age_s=30.1), Posture.CLOSE_ONLY, "STATE_UNKNOWN"),
        (trader(age_s=None), Posture.CLOSE_ONLY, "STATE_UNKNOWN"),
    ],
)
def test_the_worst_input_wins_and_says_why(inputs, posture, reason):
    given = {"scan_age_s": 1.0, "cadence_s": 7.0, "health": "GREEN", **inputs}
    found, reasons = judge(SafetyInputs(**given), SafetyParams())
    assert found is posture
    assert (reason is None and not reasons) or any(r.startswith(reason) for r in reasons)


def test_down_at_once_up_one_step_after_each_cool_down():
    ladder = Ladder(Posture.NORMAL, NOW)
    assert ladder.move(Posture.CLOSE_ONLY, NOW, 300)
    later = NOW
    seen = []
    for _ in range(14):
        later += timedelta(seconds=50)
        ladder.move(Posture.NORMAL, later, 300)
        seen.append(ladder.posture)
    assert seen[5] is Posture.CLOSE_ONLY
    assert seen[6] is Posture.REDUCED
    assert seen[11] is Posture.REDUCED
    assert seen[12] is Posture.NORMAL


def scan(bridged):
    return Scan(
        scan_number=1,
        timestamp_us=to_us(NOW),
        assets=[],
        prices=[],
        eigenvalues=[],
        bridge_ts=bridged,
    )


def guard_with(document):
    guard = Guard("BLUE", is_replay=True, cadence_min_s=1.0, trouble=lambda: None)
    if document is not None:
        guard.on_safety(document)
    return guard


def safety(posture, ts):
    return (
        f'{{"posture": "{posture}", "size_multiplier": 1.0, "reasons": [], "limits": {{}},'
        f' "since": "{ts}", "ts": "{ts}"}}'
    )


@pytest.mark.parametrize(
    "document",
    [
        None,
        "not json",
        "{}",
        safety("RELAXED", datetime.now(UTC).isoformat()),
        safety("NORMAL", (datetime.now(UTC) - timedelta(seconds=11)).isoformat()),
        safety("NORMAL", (datetime.now(UTC) + timedelta(hours=1)).isoformat()),
    ],
)
def test_a_missing_stale_or_unreadable_posture_blocks_entries(document):
    limits = guard_with(document).limits(scan(datetime.now(UTC)), datetime.now(UTC))
    assert limits.entry_block == "POSTURE_UNKNOWN"


def test_a_fresh_posture_is_obeyed():
    now = datetime.now(UTC)
    for level in Posture:
        limits = guard_with(safety(level, now.isoformat())).limits(scan(now), now)
        assert limits.posture is level
        assert limits.entry_block is None


def test_an_old_scan_opens_nothing():
    now = datetime.now(UTC)
    guard = guard_with(safety("NORMAL", now.isoformat()))
    assert guard.limits(scan(now - timedelta(seconds=3.5)), now).entry_block == "STALE_SCAN"


def test_a_scan_whose_clock_is_off_opens_nothing_live():
    now = datetime.now(UTC)
    guard = Guard("BLUE", is_replay=False, cadence_min_s=1.0, trouble=lambda: None)
    guard.on_safety(safety("NORMAL", now.isoformat()))
    limits = guard.limits(scan(now), now)
    assert limits.entry_block == "CLOCK_SKEW"
    assert guard.block is None
    guard.note(limits, now)
    guard.note(limits, now + timedelta(seconds=5))
    assert (guard.block, guard.blocked_since) == ("CLOCK_SKEW", now)
    assert from_us(to_us(NOW)) == NOW


def test_a_block_ends_with_the_first_scan_that_has_none():
    now = datetime.now(UTC)
    guard = guard_with(safety("NORMAL", now.isoformat()))
    guard.note(guard.limits(scan(now - timedelta(seconds=3.5)), now), now)
    assert guard.block == "STALE_SCAN"
    guard.note(guard.limits(scan(now), now), now)
    assert (guard.block, guard.blocked_since) == (None, None)


@pytest.mark.parametrize("status", ["UNKNOWN", "banana", "None", ""])
def test_a_health_that_says_nothing_opens_nothing(status):
    inputs = SafetyInputs(scan_age_s=1.0, cadence_s=7.0, health=status)
    posture, reasons = judge(inputs, SafetyParams())
    assert posture is Posture.CLOSE_ONLY
    assert reasons[0].startswith("HEALTH_UNKNOWN")
