"""Hours at sixty-fold speed, with hang-ups, outages, halts, delistings and kills: every gap has its reason.

The only reason is a hole in what the venue sent: nobody was connected, or the machine stood still.
SCANNER_HOURS says how many hours of the venue's clock (make prove-scanner: 24).
"""

import itertools
import os
import random
import time

import pytest

from dolphin_realtime.bench.stack import Stack
from dolphin_realtime.model.instant import DAY_US, MINUTE_US
from dolphin_realtime.model.market.cadence import LATE_CADENCES
from dolphin_realtime.scans.files import parse_scan
from dolphin_realtime.scans.judge import judge_files
from tests.integration.conftest import eventually, print_table
from tests.scanner.test_scanner import SETTINGS, Cell
from tests.scanner.venue import Served

HOURS = float(os.environ.get("SCANNER_HOURS", "0.5"))
SPEED = 60.0
SETTLED_US = 3 * MINUTE_US
"""Minutes of the venue's clock, as many real seconds, by which a gap may outlast its hole: the past is asked for."""
pytestmark = pytest.mark.timeout(HOURS * 60 + 240)


def hang_up(cell, chance):
    cell.served.call(cell.served.venue.hang_up())


def outage(cell, chance):
    cell.served.venue.is_away = True
    cell.served.call(cell.served.venue.hang_up())
    time.sleep(chance.uniform(3, 12))
    cell.served.venue.is_away = False


def halt(cell, chance):
    cell.served.venue.halted = {chance.choice(list(cell.served.venue.statuses))}
    time.sleep(chance.uniform(3, 8))
    cell.served.venue.halted = set()


def delisting(cell, chance):
    asset = chance.choice(list(cell.served.venue.statuses))
    cell.served.venue.statuses[asset] = "SETTLING"
    eventually(lambda: asset not in cell.newest().assets, 60, f"{asset} gone")
    cell.served.venue.statuses[asset] = "TRADING"
    eventually(lambda: asset in cell.newest().assets, 60, f"{asset} back")


def killed(cell, chance):
    cell.kill("scanner")


def outlasts(gap, holes):
    """Return for how long marks came and no scan did, within a gap between two scans."""
    begin, end = gap
    return end - begin - sum(max(0, min(end, b) - max(begin, a)) for a, b in holes)


EVENTS = (hang_up, outage, halt, delisting, killed)


def test_hours_with_every_fault_leave_no_gap_that_is_not_explained(tmp_path, capsys):
    served, chance = Served(SPEED, 2 * DAY_US), random.Random(24)
    venue = served.venue
    settings = {
        **SETTINGS,
        "market_clock": "replay",
        "scanner_cadence_s": 0.2,
        "stale_cadence_min_s": 600,
    }
    rows = []
    try:
        with Stack(tmp_path / "home", "--no-dagster", **settings, **served.settings) as stack:
            cell = Cell(stack, served)
            eventually(
                cell.acted, 90, lambda: (stack.home / "logs" / "scanner.log").read_text()[-1500:]
            )
            begin_us = venue.now_us()
            end_us = begin_us + int(HOURS * 60) * MINUTE_US
            while venue.now_us() < end_us:
                time.sleep(chance.uniform(6, 18))
                event, at_us = chance.choice(EVENTS), venue.now_us()
                event(cell, chance)
                rows.append((event.__name__, f"{(at_us - begin_us) / MINUTE_US:.0f}",
                             f"{(venue.now_us() - at_us) / MINUTE_US:.1f}"))  # fmt: skip
            ended_us = venue.now_us()
            number = cell.newest().scan_number
            eventually(lambda: cell.newest().scan_number > number + 10, 60, "scans at the end")
            eventually(
                lambda: len(cell.query("SELECT 1 FROM equity")) > 0.9 * number, 60, "the trader"
            )
            lost = (
                number
                - cell.query(f"SELECT count(*) FROM equity WHERE scan_number <= {number}")[0][0]
            )
    finally:
        served.close()
    found = judge_files(cell.scans)
    assert found.wrong == []
    assert all("eigenvalues" not in w and "usable" not in w for w in found.warnings), found.warnings
    times = sorted(
        parse_scan(p.read_bytes(), p.name).timestamp_us for p in cell.scans.rglob("*.arrow")
    )
    live = [t for t in times if t >= begin_us]
    steps = sorted(b - a for a, b in itertools.pairwise(live))
    late_us = LATE_CADENCES * steps[len(steps) // 2]
    gaps = [(a, b) for a, b in itertools.pairwise(live) if b - a > late_us]
    holes = [(a, b) for a, b in itertools.pairwise(venue.sent_us) if b - a > late_us / 2]
    unexplained = [gap for gap in gaps if outlasts(gap, holes) > SETTLED_US]
    silent = sum(b - a for a, b in holes if begin_us <= a < ended_us) / (ended_us - begin_us)
    with capsys.disabled():
        print(f"\n{HOURS:g} h, {len(live)} scans, one every {steps[len(steps) // 2] / 1e6:.1f} s of the venue's clock, "
              f"{len(gaps)} gaps over three cadences, {len(unexplained)} of them unexplained, {lost} never seen; the venue sent nothing for {silent:.0%} of the time")  # fmt: skip
    print_table(capsys, ("event", "minute", "minutes"), rows)
    print_table(capsys, ("unexplained at minute", "seconds"), [
        (f"{(a - begin_us) / MINUTE_US:.1f}", f"{(b - a) / 1e6:.0f}") for a, b in unexplained
    ])  # fmt: skip
    assert len(live) > HOURS * 60 * 2
    assert unexplained == []
    assert lost == 0
