"""What an operator sees and does in each kind of world, on a running stack: status, checks, commands."""

import json
import re

import pytest

from dolphin_realtime.grid import maps
from dolphin_realtime.model.instant import day_of
from dolphin_realtime.replay.worlds.events import (
    BadEigenvalues,
    ClockStep,
    Delisting,
    Halt,
    Leap,
    Level,
    Redenomination,
    Restart,
    Wick,
    World,
)
from dolphin_realtime.scans.files import write_scan
from tests.integration.conftest import COMMAND_S, eventually, make_desk
from tests.journals import rows

SETTINGS = {
    "target_band": 0.02, "signal_s_in": 0.3, "signal_s_out": 0.1, "signal_tau_x_s": 600,
    "stale_cadence_min_s": 600, "safety_limit_scan_stale_min_s": 6, "safety_cool_down_s": 0,
}  # fmt: skip


class Operator:
    """A desk in a world: feeds scans, asks `dolphin`."""

    def __init__(self, desk):
        self.desk, self.events, self.n = desk, [], 0
        self.told = []

    def happen(self, event):
        self.events.append(event)

    def feed(self, n_scans, wait=True):
        for _ in range(n_scans):
            scan = self.desk.next_scan()
            world = World(self.events, "a world")
            told = world.feed(self.n, world.market(self.n, scan))
            self.n += 1
            if told is None:
                continue
            self.desk.number = told.scan_number
            write_scan(self.desk.scan_dir, told)
            if wait:
                self.desk.wait_journalled(told)

    def state(self):
        return self.desk.document(maps.state_map("BLUE"), maps.LATEST_STATE) or {}

    def held(self, side=0):
        """Return a held asset that no event has touched, the largest first; of one side if asked."""
        touched = {getattr(e, "asset", "") for e in self.events}
        positions = [
            p
            for p in self.state()["positions"]
            if p["asset"] not in touched and p["quantity"] * side >= 0.0
        ]
        return max(positions, key=lambda p: abs(p["quantity"] * (p["price"] or 0)))["asset"]

    def sees(self, pattern, timeout_s=20.0):
        """Wait until `dolphin status` says something; remember the line."""

        def line():
            text = self.desk.cli("status").stdout
            return next((x.strip() for x in text.splitlines() if re.search(pattern, x)), None)

        found = eventually(
            line, timeout_s, lambda: f"{pattern!r} in {self.desk.cli('status').stdout}", COMMAND_S
        )
        self.told.append(found)
        return found

    def orders(self, *words):
        done = self.desk.cli(*words)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def operator(tmp_path_factory):
    desk = make_desk(tmp_path_factory.mktemp("worlds") / "home", **SETTINGS)
    with desk.stack:
        desk.wait_trading()
        one = Operator(desk)
        one.feed(30)
        yield one
        desk.close()
    print("\n" + "\n".join(one.told))


def since(operator):
    return operator.n


def test_a_wick_is_named_and_goes_by(operator):
    asset = operator.held()
    at = since(operator)
    operator.happen(Wick(at=at, until=at + 1, asset=asset, factor=1e-3))
    operator.feed(1)
    operator.sees(rf"held without a sound price: {asset} DOUBTFUL_PRICE")
    operator.feed(1)
    operator.sees("^trading")
    assert not operator.state()["unpriced"]


def test_a_redenominated_coin_is_named_red_and_settled_by_its_factor(operator):
    asset = operator.held()
    operator.happen(Redenomination(at=since(operator), asset=asset, factor=1e-3))
    operator.feed(4)
    operator.sees(
        rf"held without a sound price: {asset} DOUBTFUL_PRICE, last .* waits to be believed"
    )
    equity = operator.state()["equity"]
    text = operator.orders(
        "position", "redenominate", asset, "--factor", "1000", "--reason", "1 to 1000"
    )
    assert "0.00 USDT realised" in text
    eventually(lambda: not operator.state()["unpriced"])
    assert operator.state()["equity"] == pytest.approx(equity, abs=1e-6)
    operator.feed(3)
    assert not operator.state()["unpriced"]
    operator.orders("position", "redenominate", asset, "--factor", "1", "--reason", "a unit of one")
    operator.orders("position", "undo", asset, "--reason", "it was not needed")
    operator.desk.check_journal()
    row = operator.desk.query(
        "SELECT act, asset, value, who, reason FROM position_changes ORDER BY rowid"
    )
    assert [r[0] for r in row] == ["redenominate", "redenominate", "undo"]
    assert row[0][1:3] == (asset, 1000.0)
    assert row[0][4] == "1 to 1000"


def test_a_new_level_of_six_times_is_accepted_by_a_person(operator):
    asset = operator.held(side=1)  # a short would lose the day's limit and halt what comes after
    operator.happen(Level(at=since(operator), asset=asset, factor=6.0))
    operator.feed(5)
    operator.sees(rf"held without a sound price: {asset} DOUBTFUL_PRICE")
    operator.orders("position", "accept", asset, "--reason", "seen at two venues")
    operator.feed(2)
    assert not operator.state()["unpriced"]
    refused = operator.desk.cli("position", "accept", asset, "--reason", "again")
    assert refused.returncode == 1
    assert "waits to be believed" in refused.stderr


def test_a_delisted_coin_waits_in_a_flatten_and_is_written_off(operator):
    asset = operator.held(side=-1)
    operator.happen(Delisting(at=since(operator), asset=asset))
    operator.feed(4)
    operator.sees(rf"held without a sound price: {asset} ABSENT")
    cash = operator.state()["cash"]
    done = operator.orders("position", "settle", asset, "--price", "0", "--reason", "delisted")
    assert "are now 0 at 0" in done
    eventually(lambda: asset not in {p["asset"] for p in operator.state()["positions"]})
    assert operator.state()["cash"] != cash
    operator.feed(2)
    operator.desk.check_journal()


def test_a_restart_of_ng6_again_and_again_is_followed(operator):
    at = since(operator)
    epoch = operator.state()["epoch"]
    operator.happen(Restart(at=at, until=at + 4))
    operator.feed(5)
    assert operator.state()["epoch"] == epoch + 4
    operator.sees("^trading")


def test_a_halted_coin_is_named_after_half_an_hour(operator):
    asset = operator.held()
    operator.happen(Halt(at=since(operator), asset=asset))
    operator.feed(36)
    operator.sees(r"names cannot be opened now: .*STILL_PRICE 1")
    query = "SELECT DISTINCT reason FROM decisions WHERE asset = ?"
    assert ("STILL_PRICE",) in operator.desk.query(query, asset)


def test_a_matrix_that_is_none_names_itself_as_the_cause(operator):
    at = since(operator)
    operator.happen(BadEigenvalues(at=at, until=at + 2))
    operator.feed(2)
    operator.sees("not trading because NO_TRADABLE_NAME: BLUE: BAD_EIGENVALUES 15 of 15 names")
    operator.feed(1)


def test_a_market_that_leaps_is_believed_and_reduces(operator):
    operator.happen(Leap(at=since(operator), factor=0.75))
    operator.feed(1)
    assert "leap" in operator.state()["last_signal"]["flags"]
    operator.sees("VOLATILITY_SHOCK")


def test_scans_that_come_and_are_refused_are_named_as_the_cause(operator):
    at = since(operator)
    operator.happen(ClockStep(at=at, until=at + 6, seconds=-7200.0))
    operator.feed(6, wait=False)
    operator.sees(
        "not trading because POSTURE_CLOSE_ONLY: STALE_SCAN.*bridge refused since the last good "
        r"scan: \d+ out_of_order",
        40.0,
    )


def test_the_days_report_names_what_was_held_without_a_price_and_who_did_what(operator):
    (last_us,) = operator.desk.query("SELECT max(timestamp_us) FROM equity")[0]
    done = operator.desk.cli("report", day_of(last_us), "--json")
    assert done.returncode == 0, done.stderr
    caveats = json.loads(done.stdout)["caveats"]
    assert any("changed" in c and "settle" in c for c in caveats)
    assert any("without a sound price" in c and "ABSENT" in c for c in caveats)
    assert "cover" in done.stderr or "covered" in done.stderr
    folder = operator.desk.stack.home / "journal" / "BLUE"
    assert rows(folder, "SELECT count(*) FROM position_changes") == [(5,)]
