"""A live day at sixty-fold speed with seeded faults every few minutes: nothing drifts, nothing grows.

LIVE_HOURS of market time at a minute a second; ``make prove-live`` runs 24.
"""

import contextlib
import os
import random
import time

import psutil
import pytest

from dolphin_realtime.scans.files import write_scan
from tests.integration.conftest import eventually, print_table, state_of
from tests.live.conftest import LiveDesk, checked, sent_twice, untrue

HOURS = float(os.environ.get("LIVE_HOURS", "1"))
MINUTE_S = 1.0
ORDER = {"path": "/fapi/v1/order", "method": "POST"}
UPDATE = {"event": "ORDER_TRADE_UPDATE"}
FAULTS = {
    "answer lost": [("fault", {"kind": "cut_after", **ORDER})],
    "cut before": [("fault", {"kind": "cut", **ORDER})],
    "-1000 executed": [("fault", {"kind": "code_after", "code": -1000, **ORDER})],
    "503 executed": [("fault", {"kind": "status_after", **ORDER})],
    "done after 2 s": [("fault", {"kind": "hang", "seconds": 2.0, **ORDER})],
    "-2019": [("fault", {"kind": "code", "code": -2019, **ORDER})],
    "a trade lost": [("fault", {"kind": "lose", "after": 1, **UPDATE})],
    "events twice": [("fault", {"kind": "double", "times": 20, **UPDATE})],
    "events late": [("fault", {"kind": "delay", "seconds": 0.5, "times": 10, **UPDATE})],
    "trade first": [("fault", {"kind": "trade_first", "times": 5, **UPDATE})],
    "streams cut": [("cut", {})],
    "positions away": [("fault", {"kind": "status", "path": "/fapi/v3/positionRisk", "times": 2})],
    "answer and events lost": [
        ("fault", {"kind": "cut_after", **ORDER}), ("fault", {"kind": "lose", "times": 6, **UPDATE})],
    "streams away": [("away", {"parts": ["stream"]})],
    "banned": [("ban", {"seconds": 2})],
}  # fmt: skip


class Long:
    """The run: scans by the clock, faults by the seed."""

    def __init__(self, desk, seed):
        self.desk, self.rng = desk, random.Random(seed)
        self.seen = dict.fromkeys([*FAULTS, "keys expired", "funding", "daily disconnect"], 0)
        self.memory, self.oldest_s = [], 0.0

    def ctl(self, name, do, **fields):
        self.desk.served.ctl(do, **fields)
        self.seen[name] += 1

    def minute(self, n):
        """One minute of the market: a scan, and what is due."""
        began = time.monotonic()
        scan = self.desk.next_scan()
        write_scan(self.desk.scan_dir, scan)
        self.desk.served.venue.budget._weight = 0  # sixty minutes pass in one of the venue's
        if n % 60 == 59:
            self.ctl("keys expired", "expire", account="one")
        if n % 480 == 240:
            for asset in list(self.desk.served.truth()["positions"])[:3]:
                self.ctl("funding", "fund", account="one", symbol=asset, rate="0.0001")
        if n % 1440 == 700:
            self.ctl("daily disconnect", "cut")
        if n % 5 == 2:
            name = self.rng.choice(list(FAULTS))
            for do, fields in FAULTS[name]:
                self.ctl(name, do, **fields)
        elif n % 5 == 4:
            self.desk.served.ctl("clear")
        if n % 20 == 0:
            self.look()
        time.sleep(max(0.0, MINUTE_S - (time.monotonic() - began)))

    def look(self):
        service = self.desk.stack.service("trader@BLUE")
        self.memory.append(psutil.Process(service.pid).memory_info().rss / 1e6)
        live = (state_of(self.desk, "BLUE") or {}).get("live") or {}
        for one in live.get("findings", []):
            assert one["posture"] != "HALTED", one
            if one["code"] == "ORDER_UNKNOWN":
                self.oldest_s = max(self.oldest_s, float(one["why"].split()[-2]))


@pytest.mark.timeout(3600)
def test_a_day_with_faults_drifts_nowhere(tmp_path, at_venue, market, capsys):
    desk = LiveDesk(tmp_path / "home", at_venue, market, stale_cadence_min_s=10)
    with desk.stack:
        eventually(lambda: desk.posture() is not None)
        desk.wait_trading()
        run = Long(desk, 19)
        n_minutes = 0
        with contextlib.suppress(StopIteration):  # a recorded day has its end
            while n_minutes < round(HOURS * 60):
                run.minute(n_minutes)
                n_minutes += 1
        desk.served.ctl("clear")
        desk.quiet(90.0)
        service = desk.stack.service("trader@BLUE")
        orders = len(desk.served.truth()["orders"])
        ends = dict(desk.query("SELECT state, count(*) FROM order_events GROUP BY state"))
        outside = desk.query("SELECT count(*) FROM fills WHERE client_order_id = ''")
        state = state_of(desk, "BLUE")
        desk.close()
    log = (desk.home / "logs" / "trader@BLUE.log").read_text()
    assert untrue(desk.served, desk.home) == ""
    assert (service.restarts, outside, state["mismatch"]) == (0, [(0,)], None)
    assert sent_twice(desk.served) == set()
    assert "Traceback" not in log.replace("trader.node_stopped", "")
    assert run.oldest_s < 120.0
    checked(desk.home)
    third = len(run.memory) // 3
    lines = [
        ("market time", f"{n_minutes / 60:.1f} h at {60 / MINUTE_S:.0f}-fold speed"),
        ("orders, ends", f"{orders}; {ends}"),
        ("faults", str({k: v for k, v in run.seen.items() if v})),
        ("oldest unknown order that blocked", f"{run.oldest_s:.0f} s"),
        ("memory of the trader", f"{run.memory[third]:.0f} MB after a third, {run.memory[-1]:.0f} MB at the end"),
        ("drift", "none: trades, positions and wallet are the venue's"),
    ]  # fmt: skip
    print_table(capsys, ("live, long", ""), lines)
    if HOURS >= 12:
        assert run.memory[-1] < run.memory[third] * 1.15 + 10
