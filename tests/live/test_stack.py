"""A whole stack in live mode: what the operator sees and does, and a trader that is killed."""

import json
import os
import random
import signal
import time

import pytest

from dolphin_realtime.venues.binance.order_life import PREFIX
from tests.integration.conftest import eventually, state_of
from tests.live.conftest import LiveDesk, checked, sent_twice, untrue


@pytest.fixture
def live(tmp_path, at_venue, market):
    desk = LiveDesk(tmp_path / "home", at_venue, market)
    with desk.stack:
        eventually(lambda: desk.posture() is not None)
        desk.wait_trading()
        yield desk
        desk.close()


def venue_of(desk):
    return (state_of(desk, "BLUE") or {}).get("live") or {}


def reasons(desk):
    document = desk.document("DOLPHIN_SAFETY", "latest")
    return [r for r in document["reasons"] if r.startswith("VENUE")] if document else []


def held(desk):
    """Feed scans until something is held; return its name."""
    for _ in range(30):
        desk.feed(1)
        found = [p["asset"] for p in state_of(desk, "BLUE")["positions"]]
        if found:
            desk.quiet()
            return found[0]
    raise AssertionError("nothing is held")


@pytest.mark.timeout(300)
def test_an_order_from_elsewhere_closes_the_door_until_a_person_adopts_it(live):
    asset = held(live)
    live.served.ctl(
        "order", account="one", symbol=asset, side="BUY", type="MARKET", newClientOrderId="web_7",
        quantity={"BTCUSDT": "0.1", "ETHUSDT": "1"}.get(asset, "3"),
    )  # fmt: skip
    eventually(lambda: any("OUTSIDE: FOREIGN" in r for r in reasons(live)), 30.0, "the reason")
    eventually(lambda: live.posture() == "CLOSE_ONLY")
    told = live.cli("status").stdout
    assert "OUTSIDE (CLOSE_ONLY): FOREIGN" in told
    assert "SIMULATED loopback venue" in told
    live.quiet()
    alerts = (live.home / "run_logs" / "alerts.jsonl").read_text()
    assert "venue_outside" in alerts
    assert "live trading began at loopback" in alerts
    done = live.cli("live", "adopt", "--reason", "bought by hand")
    assert "1 trades from outside adopted" in done.stdout, done.stderr
    eventually(lambda: not reasons(live))
    live.feed(1)
    live.wait_trading()
    refused = live.cli("live", "raise", "--reason", "more")
    assert "its first day is not over" in refused.stderr
    refused = live.cli("position", "settle", asset, "--price", "1", "--reason", "x")
    assert "a position is what the venue says" in refused.stderr
    live.check_journal()


@pytest.mark.timeout(300)
def test_panic_flattens_with_the_trader_stopped_and_the_grid_down(live):
    held(live)
    pids = {name: live.stack.service(name).pid for name in ("trader@BLUE", "safety", "hazelcast")}
    for pid in pids.values():
        os.kill(pid, signal.SIGSTOP)
    began = time.monotonic()
    try:
        done = live.cli("live", "panic", "--flatten", "--reason", "drill")
        took_s = time.monotonic() - began
        assert live.served.truth()["positions"] == {}
    finally:
        for pid in pids.values():
            os.kill(pid, signal.SIGCONT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "flat" in done.stdout
    ledger = (live.home / "safety" / "ledger.jsonl").read_text()
    assert '"posture":"HALTED","reason":"drill"' in ledger
    print(f"flat {took_s:.1f} s after the command was typed")
    live.quiet()
    last = [json.loads(line) for line in ledger.splitlines()][-1]
    assert last["action"] == "set"


def is_back(desk, restarts):
    """Whether the trader runs again, after so many restarts."""
    now = desk.stack.service("trader@BLUE")
    return now.restarts == restarts and now.state == "running"


@pytest.mark.timeout(600)
def test_a_trader_that_is_killed_comes_back_with_the_venues_truth(live):
    rng, n_kills = random.Random(1), int(os.environ.get("LIVE_KILLS", "5"))
    killed = 0
    held(live)
    while killed < n_kills:
        live.feed(1, wait=False)
        time.sleep(rng.uniform(0.0, 0.06))
        before = live.stack.service("trader@BLUE")
        os.kill(before.pid, signal.SIGKILL)
        killed += 1
        live.served.venue.budget._weight = 0  # a start costs about 250 of 2,400 a minute
        eventually(lambda n=before.restarts + 1: is_back(live, n), 60.0, "the trader back")
        live.feed(1, wait=True)
        live.quiet(60.0)
        assert sent_twice(live.served) == set()
        live.feed(2)
    live.quiet(60.0)
    assert untrue(live.served, live.home) == ""
    late = "SELECT count(*) FROM fills WHERE source LIKE 'OUTSIDE%'"
    assert live.query(late) == [(0,)]
    ends = dict(live.query("SELECT state, count(*) FROM order_events GROUP BY state"))
    print(f"{killed} kills, ends {ends}")
    live.close()
    checked(live.home)


STEPS = ("intent", "sent", "order", "booked", "journal", "state")
"""Intent written; orders handed over; before the scan is finished; a fill heard and not committed;
before and after the journal's transaction."""
TOLD = STEPS if os.environ.get("LIVE_STEPS") == "all" else ("sent", "journal")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("step", TOLD)
def test_a_trader_that_is_killed_at_a_step_leaves_nothing_out(tmp_path, at_venue, market, step):
    desk = LiveDesk(tmp_path / "home", at_venue, market, fault_points=f"{step}@12=kill")
    with desk.stack:
        eventually(lambda: desk.posture() is not None)
        for _ in range(40):
            desk.feed(1, wait=False)
            time.sleep(0.15)
            if desk.stack.service("trader@BLUE").restarts:
                break
        eventually(lambda: is_back(desk, 1), 60.0, "the trader back")
        desk.feed(1)
        desk.wait_trading()
        desk.feed(3)
        desk.quiet()
        assert sent_twice(desk.served) == set()
        assert desk.query("SELECT count(*) FROM fills WHERE client_order_id = ''") == [(0,)]
        ids = {o["clientOrderId"].removeprefix(PREFIX) for o in desk.served.truth()["orders"]}
        intended = {i for (i,) in desk.query("SELECT client_order_id FROM orders")}
        assert ids <= intended, "an order without an intent"
        desk.close()
    checked(desk.home)
