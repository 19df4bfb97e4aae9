"""The saved portfolio in the journal: what is read back is what was written, however it was written."""

import random
import sqlite3

import pytest

from dolphin_realtime.journal.kept_state import PART, KeptState, changed_parts


@pytest.fixture
def db(tmp_path):
    made = sqlite3.connect(tmp_path / "db", isolation_level="DEFERRED")
    made.execute("CREATE TABLE state (only_row INTEGER PRIMARY KEY, desk BLOB)")
    yield made
    made.close()


def held(db):
    return db.execute("SELECT desk FROM state").fetchone()[0]


def taken_back(db, write):
    """Write, and fail before the transaction's end."""
    with db:
        write()
        raise ZeroDivisionError


def test_a_state_that_changes_in_places_lengths_and_failures_is_always_the_last_one(db):
    chance, kept = random.Random(7), KeptState()
    state = bytearray(chance.randbytes(40 * PART + 17))
    stored = None
    for _ in range(300):
        act = chance.random()
        if act < 0.15:
            state.extend(chance.randbytes(chance.randint(1, 3 * PART)))
        elif act < 0.3 and len(state) > 5 * PART:
            del state[-chance.randint(1, 3 * PART) :]
        else:
            for _ in range(chance.randint(0, 9)):
                state[chance.randrange(len(state))] ^= 0x5A
        if chance.random() < 0.2:
            with pytest.raises(ZeroDivisionError):
                taken_back(db, lambda: kept.write(db, bytes(state)))
            kept.failed()
            assert stored is None or held(db) == stored
        else:
            with db:
                kept.write(db, bytes(state))
            kept.committed()
            stored = bytes(state)
            assert held(db) == stored


def test_one_changed_byte_costs_a_few_pages_and_not_the_whole(db, tmp_path):
    db.execute("PRAGMA journal_mode=WAL")
    kept, state = KeptState(), bytearray(600 * PART)

    def log_grows_by():
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        with db:
            kept.write(db, bytes(state))
        kept.committed()
        return (tmp_path / "db-wal").stat().st_size

    whole = log_grows_by()
    state[300 * PART] = 1
    assert log_grows_by() < whole / 20
    assert held(db) == bytes(state)


def test_parts_are_found_at_the_edges_and_in_the_last_short_one():
    before = bytes(3 * PART + 5)
    after = bytearray(before)
    after[0] = after[2 * PART] = after[-1] = 1
    assert changed_parts(before, bytes(after)) == [0, 2 * PART, 3 * PART]
    assert changed_parts(before, before) == []
