"""Kills of trader, bridge, safety and member at random instants, over days and worlds.

``CHAOS_KILLS`` says how many in all: a few in CI over two worlds; from 60 on over three days and
two worlds. `make chaos CHAOS_KILLS=1000` is the campaign; it prints a line a cell.
"""

import os
import time

import pytest

from tests.chaos.campaign import Cell

KILLS = int(os.environ.get("CHAOS_KILLS", "5"))
SEED = int(os.environ.get("CHAOS_SEED", "4"))
DAYS = (1, 2, 3) if KILLS >= 60 else (3,)
CELLS = [(day, world) for day in DAYS for world in ("", "bad-day")]
EACH = -(-KILLS // len(CELLS))
SCANS = min(1400, max(210, 8 * EACH))


@pytest.mark.timeout(300 + 20 * EACH)
@pytest.mark.parametrize(("day", "world"), CELLS)
def test_kills_at_random_instants_lose_nothing_and_double_nothing(tmp_path, capsys, day, world):
    began = time.monotonic()
    cell = Cell(tmp_path / "home", day, world, SEED + day + 10 * bool(world))
    killed, postures = cell.live(SCANS, EACH)
    calm = cell.undisturbed()
    took = time.monotonic() - began
    with capsys.disabled():
        kills = ", ".join(f"{n} {who}" for who, n in cell.kills.items())
        print(f"\nday {day}, {world or 'calm'}: {SCANS} scans, kills: {kills}; {len(killed['orders'])} orders, "
              f"{len(killed['fills'])} fills; postures {postures}; {took:.0f} s")  # fmt: skip
    for what, rows in calm.items():
        assert killed[what] == rows, what
    assert sum(cell.kills.values()) == EACH
    assert len(killed["fills"]) > 100
