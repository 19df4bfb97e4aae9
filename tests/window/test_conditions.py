"""Each realtime check red once for each of its conditions, on a running stack.

The services are stopped and their documents written here, so that each condition can be made;
Hazelcast, the sensor, the daemon, the code server and the webserver are the real ones.
"""

import sqlite3
import threading
from contextlib import closing
from datetime import UTC, datetime

import pytest

from dolphin_realtime.bench.stack import wait_for
from dolphin_realtime.config.settings import Settings
from dolphin_realtime.grid import connection, maps, wire
from dolphin_realtime.grid.cluster import cluster_here
from dolphin_realtime.ops import dagster_api
from tests.conditions import changed, conditions, healthy

STOPPED = ("replay", "meta-health", "trader@BLUE", "bridge", "safety", "orderbook")
PLACES = {
    "scan": (maps.FEATURES, maps.LATEST_SCAN),
    "books": (maps.FEATURES, maps.LATEST_BOOKS),
    "safety": (maps.SAFETY, maps.LATEST),
    "health": (maps.META_HEALTH, maps.LATEST),
}
WITHIN_S = 60


class Impersonator:
    """Writes a stack's documents twice a second, with some conditions made."""

    def __init__(self, stack):
        self.client = connection.connect_blocking(cluster_here("dolphin", stack.port), "test")
        self.made, self.ending = [], threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while not self.ending.wait(0.5):
            now = datetime.now(UTC)
            fields = healthy(now)
            every = conditions(now)
            for number in self.made:
                path, value, _ = every[number]
                fields = changed(fields, path, value)
            self.write(fields)

    def write(self, fields):
        for name, (a_map, key) in PLACES.items():
            self.put(a_map, key, fields.get(name))
        self.put(maps.state_map("BLUE"), maps.LATEST_STATE, fields["states"].get("BLUE"))
        for name in healthy(fields["now"])["heartbeats"]:
            if name != "hazelcast":
                self.put(maps.HEARTBEAT, name, fields["heartbeats"].get(name))

    def put(self, a_map, key, document):
        the_map = self.client.get_map(a_map).blocking()
        if document is None:
            the_map.delete(key)
        else:
            the_map.set(key, wire.encode(document))

    def close(self):
        self.ending.set()
        self.thread.join()
        self.put(maps.state_map("BLUE"), maps.LATEST_STATE, None)  # to safety, its 1 USDT is a loss
        self.client.shutdown()


def excludes(one, other):
    """Return whether two conditions cannot be made at once."""
    (path, _, red), (path_2, _, red_2) = one, other
    n = min(len(path), len(path_2))
    needs_scan = {path[0], path_2[-1]} == {"scan", "handled_at"} or {path_2[0], path[-1]} == {
        "scan",
        "handled_at",
    }
    return bool(red & red_2) or path[:n] == path_2[:n] or needs_scan


def rounds():
    """Return the conditions' numbers in rounds, each with the checks that go red in it."""
    every = conditions(datetime.now(UTC))
    left, found = list(range(len(every))), []
    while left:
        made = []
        for number in left:
            if not any(excludes(every[number], every[other]) for other in made):
                made.append(number)
        left = [number for number in left if number not in made]
        found.append((made, set().union(*(every[number][2] for number in made))))
    return found


@pytest.fixture(scope="module")
def impersonated(stack):
    for name in STOPPED:
        stack.request(do="stop", name=name)
    one = Impersonator(stack)
    yield one
    one.close()
    for name in reversed(STOPPED):
        stack.request(do="start", name=name)
    wait_for(lambda: not red_of(stack), 120, "the services green again")


def red_of(stack):
    """Return the realtime checks that are red in Dagster."""
    states = dagster_api.check_states(stack.ui_port)
    assets = ("hazelcast", "scan_feed", "bridge", "safety", "orderbook", "trader_BLUE",
              "meta_health", "journal_BLUE")  # fmt: skip
    mine = {name: state for name, state in states.items() if name.split(":")[0] in assets}
    assert "NOT_EVALUATED" not in mine.values(), mine
    return {name for name, state in mine.items() if state == "FAILED"}


def becomes(stack, red):
    wait_for(lambda: red_of(stack) == red, WITHIN_S, f"red is {sorted(red)}")


@pytest.mark.timeout(600)
def test_each_condition_of_each_check(stack, impersonated):
    becomes(stack, set())
    seen = []
    for made, red in rounds():
        impersonated.made = made
        becomes(stack, red)
        seen += made
    impersonated.made = []
    becomes(stack, set())
    assert sorted(seen) == list(range(len(conditions(datetime.now(UTC)))))


def test_a_journal_that_contradicts_itself(stack, impersonated):
    path = Settings(home=stack.home).journal_dir("BLUE") / "journal.sqlite"
    with closing(sqlite3.connect(path)) as db, db:
        (before,) = db.execute("SELECT quantity FROM fills ORDER BY rowid LIMIT 1").fetchone()
        db.execute(
            "UPDATE fills SET quantity = quantity * 2 WHERE rowid = (SELECT min(rowid) FROM fills)"
        )
    becomes(stack, {"journal_BLUE:identities_hold"})
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(
            "UPDATE fills SET quantity = ? WHERE rowid = (SELECT min(rowid) FROM fills)", [before]
        )
    becomes(stack, set())
