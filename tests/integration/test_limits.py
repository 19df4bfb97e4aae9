"""Every limit and every posture, provoked on running stacks and found in the journal.

The table (limit, what provoked it, the journal's row) is generated and printed; a limit or a
reason of the safety ladder without a row fails.
"""

import re
from datetime import UTC, datetime

import msgspec
import numpy as np
import pytest

from dolphin_realtime.grid import maps, wire
from dolphin_realtime.journal import database
from dolphin_realtime.model.health.scores import HealthDocument
from dolphin_realtime.model.risk.posture import REASON_CODES
from dolphin_realtime.model.risk.pre_trade import LIMITS
from dolphin_realtime.replay.market import Market, PriceTable, ReplayParams, load_prices
from dolphin_realtime.replay.pace import archive_days
from dolphin_realtime.scans.files import write_scan
from dolphin_realtime.services.meta_health.evaluator import SENSORS
from tests.integration.conftest import Desk, eventually, make_desk

TINY = "TINYUSDT"
"""An asset so cheap that an order of it has no finite size."""
PROVOKED_BY = {
    "NOT_FINITE": {},
    "NOT_ALLOWED": {"allow": "BTCUSDT"},
    "PRICE_COLLAR": {"max_price_move": 1e-7},
    "MAX_ORDER": {"max_order_usd": 20},
    "MAX_POSITION": {"max_position_share": 1e-4},
    "MAX_GROSS": {"max_gross_share": 1e-3},
    "MAX_NET": {"max_net_share": 1e-4},
    "MAX_ORDERS_PER_MINUTE": {"max_orders_per_minute": 1},
    "DUPLICATE_ORDER": {"duplicate_window_s": 86_400},
    "DAILY_LOSS": {"max_daily_loss_share": 1e-9},
    "ORDER_UNKNOWN": {"paper_unknown_filled_share": 0.9},
}


def instance_of(code):
    return code.replace("_", "")


def market_with_tiny():
    table = load_prices()
    tiny = table.prices[:, :1] * 1e-305
    prices = np.hstack([table.prices, tiny])
    return Market(PriceTable([*table.assets, TINY], table.times_us, prices), ReplayParams())


def rows(home, instance, query, *values):
    db = database.open_read_only(home / "journal" / instance)
    try:
        return db.execute(query, values).fetchall()
    finally:
        db.close()


@pytest.mark.timeout(400)
def test_each_limit_is_provoked_and_journalled(tmp_path, capsys):
    assert set(PROVOKED_BY) == {limit.code for limit in LIMITS}
    settings = {
        f"{instance_of(code)}__{name if name.startswith('paper_') else f'limit_{name}'}": value
        for code, given in PROVOKED_BY.items()
        for name, value in given.items()
    }
    home = tmp_path / "home"
    base = make_desk(
        home,
        instances=",".join(map(instance_of, PROVOKED_BY)),
        stale_cadence_min_s=600,
        safety_cool_down_s=0,
        mhs_sources="scan,safety",
        safety_limit_state_stale_s=600,
        watchdog_s=120,
        **settings,
    )
    for path in (home / "archive").glob("*.parquet"):
        path.unlink()
    market = market_with_tiny()
    archive_days(market, home / "archive", base.first_us - 86_400_000_000, base.first_us)
    desk = Desk(base.stack, market, base.first_us)
    query = "SELECT timestamp_us, asset, side, quantity, value, bound FROM refusals WHERE code = ? LIMIT 1"
    with desk.stack:
        eventually(lambda: desk.posture() is not None)
        found = {}

        def all_found():
            scan = desk.feed(1, wait=False)
            for code in PROVOKED_BY:
                name = instance_of(code)
                eventually(
                    lambda n=name, s=scan: rows(
                        home, n, "SELECT 1 FROM equity WHERE timestamp_us = ?", s.timestamp_us
                    ),
                    60.0,
                )
                if code not in found and (row := rows(home, name, query, code)):
                    found[code] = row[0]
            return found.keys() == PROVOKED_BY.keys() or None

        eventually(
            all_found, 240.0, lambda: f"every limit; missing {PROVOKED_BY.keys() - found.keys()}"
        )
        for code in PROVOKED_BY:
            name = instance_of(code)
            reasons = {r for (r,) in rows(home, name, "SELECT DISTINCT reason FROM decisions")}
            assert code in reasons
            done = desk.cli("journal", "check", "--instance", name)
            assert done.returncode == 0, done.stdout
            state = desk.document(maps.state_map(name), maps.LATEST_STATE)
            eventually(lambda n=name, c=code: _state(desk, n)["refused"].get(c))
        assert state["mode"] == "paper"
        desk.close()
    _print(capsys, ("limit", "provoked by", "journal row"), [
        (code, PROVOKED_BY[code] or f"price of {TINY}", found[code]) for code in PROVOKED_BY
    ])  # fmt: skip


def _state(desk, name):
    return desk.document(maps.state_map(name), maps.LATEST_STATE)


def _print(capsys, head, lines):
    with capsys.disabled():
        print()
        for line in (head, *lines):
            print(" | ".join(map(str, line)))


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
        eventually(lambda: _state(desk, "BLUE")["scan_number"] == scan.scan_number)
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
    assert set(seen) == set(REASON_CODES)
    _print(capsys, ("reason", "posture", "as published"), [(c, *seen[c]) for c in REASON_CODES])


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
    eventually(lambda: desk.feed(1) and _state(desk, "BLUE")["positions"], 60.0, "a position")
    assert desk.cli("flatten", "--reason", "storm").returncode == 0
    postures.wait("FLATTEN", "CLOSE_ONLY")
    eventually(lambda: _state(desk, "BLUE")["flattened_id"], 10.0, "the flatten obeyed")
    desk.feed(2)
    eventually(lambda: _state(desk, "BLUE")["positions"] == [], 10.0, "a flat book")
    closed = desk.query("SELECT count(*) FROM orders WHERE leg LIKE 'F%'")
    desk.feed(3)
    assert desk.query("SELECT count(*) FROM orders WHERE leg LIKE 'F%'") == closed != [(0,)]
    assert _state(desk, "BLUE")["positions"] == []
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
    eventually(lambda: desk.feed(1) and len(_state(desk, "BLUE")["positions"]) > 3, 60.0)
    lose(desk, postures, "DAILY_LOSS", "CLOSE_ONLY")
    lose(desk, postures, r"DRAWDOWN: .* tier 3%", "CLOSE_ONLY")
    lose(desk, postures, r"DRAWDOWN: .* tier 8%", "HALTED")
    assert desk.cli("resume", "--reason", "seen").returncode == 0
    postures.wait("DAILY_LOSS", "CLOSE_ONLY")
    assert not any(r.startswith("DRAWDOWN") for r in postures.document()["reasons"])
