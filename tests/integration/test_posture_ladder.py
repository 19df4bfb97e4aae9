"""Every reason of the safety ladder, provoked on running stacks and found in the journal.

The table (reason, posture, as published) is generated and printed; a reason without a row fails.
"""

import re
from datetime import UTC, datetime

import msgspec
import pytest

from dolphin_realtime.grid import maps, wire
from dolphin_realtime.model.health.scores import HealthDocument
from dolphin_realtime.model.risk.posture import REASON_CODES
from dolphin_realtime.scans.files import write_scan
from dolphin_realtime.services.meta_health.evaluator import SENSORS
from tests.integration.conftest import eventually, make_desk, print_table, state_of


class Postures:
    """Collects, for each reason of the ladder, the posture it gave and the journal's row."""

    def __init__(self, desk):
        self.desk, self.seen = desk, {}

    def document(self):
        return self.desk.document(maps.SAFETY, maps.LATEST) or {"posture": None, "reasons": []}

    def wait(self, code, posture, timeout_s=60.0, feed=False):
        """Wait until the ladder gives a reason and at least a posture."""

        def is_there():
            if feed:
                self.desk.feed(1)
            document = self.document()
            reason = next((r for r in document["reasons"] if r.startswith(code)), None)
            return reason if reason and document["posture"] == posture else None

        reason = eventually(
            is_there, timeout_s, lambda: f"{code} giving {posture}: {self.document()}"
        )
        self.seen.setdefault(code, (posture, reason))
        return reason

    def wait_normal(self, feed=True):
        def is_normal():
            if feed:
                self.desk.feed(1)
            return self.document()["posture"] == "NORMAL"

        eventually(is_normal, 90.0, lambda: f"NORMAL: {self.document()}")


def against_positions(desk, move):
    """Return the next scan with every held asset's price moved against its position."""
    scan = desk.next_scan()
    state = desk.document(maps.state_map("BLUE"), maps.LATEST_STATE)
    held = {p["asset"]: (p["quantity"], p["price"]) for p in state["positions"]}
    prices = [
        held[a][1] * (1 - move if held[a][0] > 0 else 1 + move) if a in held else p
        for a, p in zip(scan.assets, scan.prices, strict=True)
    ]
    return msgspec.structs.replace(scan, prices=prices)


def lose(desk, postures, pattern, posture):
    """Feed scans against the positions, each judged before the next, until a reason stands."""

    def is_there():
        scan = against_positions(desk, 0.01)
        write_scan(desk.scan_dir, scan)
        desk.wait_journalled(scan)
        eventually(lambda: state_of(desk, "BLUE")["scan_number"] == scan.scan_number)
        judged = postures.document()["ts"]
        eventually(lambda: postures.document()["ts"] > judged)
        document = postures.document()
        for reason in document["reasons"]:
            code = reason.split(":")[0]
            if code in ("DRAWDOWN", "DAILY_LOSS", "VOLATILITY_SHOCK"):
                postures.seen.setdefault(code, (document["posture"], reason))
        found = any(re.match(pattern, r) for r in document["reasons"])
        return found and document["posture"] == posture

    eventually(is_there, 90.0, lambda: f"{pattern} giving {posture}: {postures.document()}")


SLOW = {
    "stale_cadence_min_s": 600,
    "safety_cool_down_s": 0,
    "safety_limit_scan_stale_min_s": 4,
    "safety_limit_state_stale_s": 4,
}


@pytest.mark.timeout(400)
def test_each_reason_of_the_ladder_is_provoked_and_journalled(tmp_path, capsys):
    seen = {}
    desk = make_desk(tmp_path / "a" / "home", fault_points="venue@3=reject*3", **SLOW)
    with desk.stack:
        postures = Postures(desk)
        postures.wait("NO_SCAN", "CLOSE_ONLY")
        rejected = "SELECT count(*) FROM cancels WHERE reason LIKE 'REJECTED%'"
        eventually(lambda: desk.feed(1) and desk.query(rejected) == [(3,)], 60.0, "three rejects")
        postures.wait("REJECTS", "REDUCED")
        postures.wait_normal()
        manual(desk, postures)
        feeds_and_states(desk, postures)
        health(desk, postures)
        losses(desk, postures)
        desk.check_journal()
        seen |= postures.seen
        in_journal = {p for (p,) in desk.query("SELECT DISTINCT posture FROM equity")}
        assert in_journal == {"NORMAL", "REDUCED", "CLOSE_ONLY", "HALTED"}
        reasons = {r for (r,) in desk.query("SELECT DISTINCT reason FROM decisions")}
        assert {"POSTURE_CLOSE_ONLY", "POSTURE_HALTED", "FLATTEN"} <= reasons
        desk.close()
    desk = make_desk(tmp_path / "b" / "home", fault_points="fill@12=skew", **SLOW)
    with desk.stack:
        postures = Postures(desk)
        eventually(lambda: desk.posture() is not None)
        postures.wait("RECONCILIATION", "HALTED", feed=True)
        seen |= postures.seen
        desk.close()
    assert set(seen) == set(REASON_CODES) - {"VENUE"}  # tests/live has a venue
    print_table(
        capsys, ("reason", "posture", "as published"), [(c, *found) for c, found in seen.items()]
    )


def manual(desk, postures):
    """Orders of a person: each rung, then a flatten that closes everything once."""
    for level in ("REDUCED", "CLOSE_ONLY", "HALTED"):
        assert desk.cli("posture", "set", level, "--reason", "drill").returncode == 0
        postures.wait("MANUAL", level)
        desk.feed(3)
    assert not desk.query(
        "SELECT 1 FROM orders o JOIN equity e USING (epoch, scan_number) WHERE e.posture = 'HALTED'"
    )
    assert desk.cli("resume", "--reason", "over").returncode == 0
    postures.wait_normal()
    eventually(lambda: desk.feed(1) and state_of(desk, "BLUE")["positions"], 60.0, "a position")
    assert desk.cli("flatten", "--reason", "storm").returncode == 0
    postures.wait("FLATTEN", "CLOSE_ONLY")
    eventually(lambda: state_of(desk, "BLUE")["flattened_id"], 10.0, "the flatten obeyed")
    desk.feed(2)
    eventually(lambda: state_of(desk, "BLUE")["positions"] == [], 10.0, "a flat book")
    closed = desk.query("SELECT count(*) FROM orders WHERE leg LIKE 'F%'")
    desk.feed(3)
    assert desk.query("SELECT count(*) FROM orders WHERE leg LIKE 'F%'") == closed != [(0,)]
    assert state_of(desk, "BLUE")["positions"] == []
    assert desk.cli("resume", "--reason", "storm is over").returncode == 0
    postures.wait_normal()


def feeds_and_states(desk, postures):
    postures.wait("STALE_SCAN", "CLOSE_ONLY")
    postures.wait_normal()
    assert desk.cli("stop", "trader@BLUE").returncode == 0
    postures.wait("STATE_UNKNOWN", "CLOSE_ONLY")
    assert desk.cli("start", "trader@BLUE").returncode == 0
    postures.wait_normal()


OLD = datetime(2020, 1, 1, tzinfo=UTC)


def health_document(status, rm_meta, at):
    scores = dict.fromkeys(SENSORS, rm_meta)
    document = HealthDocument(
        status=status, rm_meta=rm_meta, **scores, subsystem_health={}, timestamp=at
    )
    return wire.encode(document)


def health(desk, postures):
    """Meta health's own words, put where it puts them while it is stopped."""
    assert desk.cli("stop", "meta-health").returncode == 0
    healths = desk.client.get_map(maps.META_HEALTH).blocking()
    for status, posture in (("CRITICAL", "REDUCED"), ("DEAD", "CLOSE_ONLY")):
        healths.put(maps.LATEST, health_document(status, 0.1, datetime.now(UTC)))
        postures.wait(f"HEALTH_{status}", posture)
        desk.feed(1)
    healths.put(maps.LATEST, health_document("GREEN", 1.0, OLD))
    postures.wait("HEALTH_UNKNOWN", "CLOSE_ONLY")
    assert desk.cli("start", "meta-health").returncode == 0
    postures.wait_normal()


def losses(desk, postures):
    """Scans against every position: daily loss, then each tier of the drawdown."""
    eventually(lambda: desk.feed(1) and len(state_of(desk, "BLUE")["positions"]) > 3, 60.0)
    lose(desk, postures, "DAILY_LOSS", "CLOSE_ONLY")
    lose(desk, postures, r"DRAWDOWN: .* tier 3%", "CLOSE_ONLY")
    lose(desk, postures, r"DRAWDOWN: .* tier 8%", "HALTED")
    assert desk.cli("resume", "--reason", "seen").returncode == 0
    postures.wait("DAILY_LOSS", "CLOSE_ONLY")
    assert not any(r.startswith("DRAWDOWN") for r in postures.document()["reasons"])
