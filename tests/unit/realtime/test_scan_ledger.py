"""The ledger of published scans: order, sequence and stamps over restarts and days."""

import msgspec

from dolphin_realtime.model.market.scan import (
    ScanOrder,
)
from dolphin_realtime.scans.ledger import Line, ledger_days, read_lines, read_stamps
from dolphin_realtime.services.bridge.ledger import Ledger


def published(day, seq, **fields):
    return Line(path=f"2025-01-{day:02d}/{seq}.arrow", stamp=(seq, 1), seq=seq, **fields)


def test_the_ledger_gives_back_order_sequence_and_stamps(tmp_path):
    ledger = Ledger(tmp_path, newest=1)
    ledger.add(published(1, 1, epoch=1, scan_number=5, timestamp_us=9))
    ledger.add(Line(path="2025-01-02/b.arrow", stamp=(3, 4), reason="bad"))
    ledger.add(published(3, 2, epoch=2, scan_number=1, timestamp_us=10))
    ledger.close()
    with (tmp_path / "2025-01-03.jsonl").open("ab") as f:
        f.write(b'{"path": "cut o')
    again = Ledger(tmp_path, newest=1)
    assert (again.seq, again.bad) == (2, 1)
    assert again.order == ScanOrder(2, 1, 10)
    assert [line.seq for line in again.newest] == [2]
    again.add(published(3, 3))
    again.close()
    assert list(read_stamps(tmp_path).values()) == [(1, 1), (3, 4), (2, 1), (3, 1)]


def test_the_ledger_forgets_a_day_long_gone_when_a_new_one_begins(tmp_path):
    ledger = Ledger(tmp_path, newest=5)
    for day in range(1, 12):
        ledger.add(published(day, day))
    assert list(ledger_days(tmp_path)) == [f"2025-01-{day:02d}" for day in range(4, 12)]
    ledger.close()


def test_the_ledger_never_forgets_the_last_published_scan(tmp_path):
    ledger = Ledger(tmp_path, newest=5)
    ledger.add(published(3, 1))
    ledger.add(published(2, 2, epoch=1, scan_number=5, timestamp_us=9))
    for day in range(4, 14):
        ledger.add(Line(path=f"2025-01-{day:02d}/a.arrow", stamp=(day, 1), reason="bad"))
    ledger.close()
    for _ in range(2):
        again = Ledger(tmp_path, newest=5)
        again.close()
        assert (again.seq, again.order) == (2, ScanOrder(1, 5, 9))
    assert min(ledger_days(tmp_path)) == "2025-01-02"
    assert len(ledger_days(tmp_path)) == 9


def test_two_days_that_are_written_in_turn_stay_however_old(tmp_path):
    ledger = Ledger(tmp_path, newest=5)
    for day in (*range(10, 20), 1, 2, 1, 2):
        ledger.add(Line(path=f"2025-01-{day:02d}/a.arrow", stamp=(day, 1), reason="bad"))
    ledger.close()
    lines = [len(read_lines(tmp_path / f"2025-01-{day:02d}.jsonl")) for day in (1, 2)]
    assert lines == [2, 2]


def test_a_ledger_in_one_file_is_divided_by_day(tmp_path):
    lines = [published(1, 1), published(2, 2), published(1, 3)]
    old = tmp_path / "seen.jsonl"
    for seq in (3, 7):
        old.write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
        ledger = Ledger(tmp_path / "seen", newest=5)
        assert (ledger.seq, not old.exists()) == (seq, True)
        assert set(read_stamps(tmp_path / "seen")) >= {line.path for line in lines}
        ledger.add(published(2, 7))
        ledger.close()
