"""A scan file becomes a fill, and what else the folder may hold does no harm."""

import json
import os
import shutil

import hazelcast
import msgspec
import numpy as np
import pyarrow as pa
import pytest
from hazelcast.errors import HazelcastSerializationError

from dolphin_realtime.grid import maps, wire
from dolphin_realtime.model.market.scan import decode_scan
from dolphin_realtime.replay import faults
from dolphin_realtime.scans.files import SCHEMA, scan_path, to_bytes, write_scan
from dolphin_realtime.scans.ledger import ledger_days, ledger_folder, read_lines
from tests.integration.conftest import eventually


def test_a_scan_file_becomes_a_fill(desk):
    before = len(desk.query("SELECT 1 FROM fills"))
    for _ in range(30):
        desk.feed(1)
        if len(desk.query("SELECT 1 FROM fills")) > before:
            break
    fills = desk.query(
        "SELECT f.price, f.mid, f.side, f.quantity, f.fee, f.timestamp_us, o.timestamp_us "
        "FROM fills f JOIN orders o USING (client_order_id)"
    )
    assert len(fills) > before
    for price, mid, side, quantity, fee, filled_us, sent_us in fills:
        sign = 1 if side == "BUY" else -1
        assert price == pytest.approx(mid * (1 + sign * 2e-4), rel=1e-6)
        assert fee == pytest.approx(quantity * price * 5e-4, abs=1e-6)
        assert filled_us == sent_us + 60_000_000
    desk.check_journal()


def test_the_owners_snippet_prints_the_scan_number(desk):
    scan = desk.feed(1)
    client = hazelcast.HazelcastClient(
        cluster_name="dolphin", cluster_members=[f"127.0.0.1:{desk.stack.port}"]
    )
    try:
        features = client.get_map("DOLPHIN_FEATURES").blocking()
        document = json.loads(features.get("latest_eigen_scan") or "{}")
    finally:
        client.shutdown()
    assert document["scan_number"] == scan.scan_number
    assert set(document) == {
        "scan_number",
        "timestamp",
        "assets",
        "asset_prices",
        "eigenvalues",
        "bridge_ts",
        "bridge_source",
        "epoch",
        "seq",
    }
    assert document["bridge_source"] == "scan_bridge"
    assert list(document["asset_prices"]) == document["assets"]


def test_bad_files_are_quarantined_with_a_reason_and_the_next_scan_is_carried(desk):
    ledger = ledger_folder(desk.stack.home / "run")
    scan = desk.next_scan()
    day = scan_path(desk.scan_dir, scan).parent
    wrong = [
        faults.write_garbage(desk.scan_dir, msgspec.structs.replace(scan, scan_number=900_001)),
        faults.write_wrong_field(desk.scan_dir, msgspec.structs.replace(scan, scan_number=900_002)),
        faults.write_unequal(desk.scan_dir, msgspec.structs.replace(scan, scan_number=900_003)),
        faults.write_cut_off(desk.scan_dir, msgspec.structs.replace(scan, scan_number=900_004)),
    ]

    def reasons() -> dict[str, str]:
        lines = [line for path in ledger_days(ledger).values() for line in read_lines(path)]
        return {line.path: line.reason for line in lines if line.reason}

    names = {f"{day.name}/{path.name}" for path in wrong}
    eventually(lambda: names <= reasons().keys(), 20.0, "four quarantined files")
    found = reasons()
    assert "not an Arrow file" in found[f"{day.name}/{wrong[0].name}"]
    assert (
        "asset_prices" in found[f"{day.name}/{wrong[1].name}"]
        or "missing" in found[f"{day.name}/{wrong[1].name}"]
    )
    assert "16 assets but 15 asset_prices" in found[f"{day.name}/{wrong[2].name}"]
    assert "unchanged for 3 s" in found[f"{day.name}/{wrong[3].name}"]
    desk.feed(1)
    eventually(lambda: desk.bridge_beat().get("refused", {}).get("bad_file", 0) >= 4)
    status = json.loads(desk.cli("status", "--json").stdout)
    detail = next(s["detail"] for s in status["services"] if s["name"] == "bridge")
    assert "bad_file" in detail


def test_a_file_that_is_still_being_written_is_waited_for(desk):
    scan = desk.next_scan()
    pieces = []

    def wait(n: int) -> None:
        pieces.append(n)
        document = desk.document(maps.FEATURES, maps.LATEST_SCAN)
        assert document["scan_number"] < scan.scan_number
        eventually(lambda: desk.bridge_beat().get("phase") == "ready")

    data = to_bytes(scan)
    path = scan_path(desk.scan_dir, scan)
    with path.open("wb", buffering=0) as f:
        for n, start in enumerate(range(0, len(data), 700)):
            wait(n)
            f.write(data[start : start + 700])
    assert len(pieces) >= 2
    desk.wait_journalled(scan)


def test_a_duplicate_and_an_out_of_order_scan_are_not_published(desk):
    scan = desk.feed(1)
    write_scan(
        desk.scan_dir, msgspec.structs.replace(scan, timestamp_us=scan.timestamp_us - 1_000_000)
    )
    older = msgspec.structs.replace(
        scan, scan_number=scan.scan_number - 3, timestamp_us=scan.timestamp_us - 7_000_000
    )
    write_scan(desk.scan_dir, older)
    refused = eventually(
        lambda: {"duplicate", "out_of_order"} <= desk.bridge_beat().get("refused", {}).keys()
    )
    assert refused
    document = desk.document(maps.FEATURES, maps.LATEST_SCAN)
    assert document["scan_number"] == scan.scan_number
    assert decode_scan(wire.encode(document)).timestamp_us == scan.timestamp_us
    desk.feed(1)
    desk.check_journal()


def test_a_restart_of_ng6_begins_a_new_epoch_and_trading_goes_on(desk):
    before = desk.document(maps.FEATURES, maps.LATEST_SCAN)["epoch"]
    desk.number = 0
    scan = desk.feed(3)
    document = desk.document(maps.FEATURES, maps.LATEST_SCAN)
    assert (document["epoch"], document["scan_number"]) == (before + 1, 3)
    assert desk.query("SELECT epoch FROM equity WHERE timestamp_us = ?", scan.timestamp_us) == [
        (before + 1,)
    ]
    desk.check_journal()


def test_nothing_in_the_grid_stops_the_trader(desk):
    features = desk.client.get_map(maps.FEATURES).blocking()
    for junk in [
        "",
        "{",
        "null",
        "[]",
        '{"scan_number": "x"}',
        "\x00" * 100,
        '{"scan_number": 1e400}',
    ]:
        features.set(maps.LATEST_SCAN, junk)
    desk.client.get_map(maps.SAFETY).blocking().set(maps.LATEST, '{"posture": 5}')
    pid = desk.stack.service("trader@BLUE").pid
    desk.wait_trading()
    desk.feed(2)
    assert desk.stack.service("trader@BLUE").pid == pid
    eventually(
        lambda: (
            desk.document(maps.HEARTBEAT, "trader@BLUE")["refused"].get("bad_scan_document", 0) >= 1
        )
    )


def test_a_document_that_cannot_be_true_does_not_deafen_the_trader(desk):
    features = desk.client.get_map(maps.FEATURES).blocking()
    document = desk.document(maps.FEATURES, maps.LATEST_SCAN)
    wrong = [
        {"epoch": 10**9, "seq": 10**9, "timestamp": "2025-05-15T23:59:59Z"},
        {"seq": 10**9, "scan_number": 10**9, "timestamp": "2075-01-01T00:00:00Z"},
    ]
    for change in wrong:
        features.set(maps.LATEST_SCAN, wire.encode({**document, **change}))
    eventually(
        lambda: (
            {"implausible_epoch", "implausible_time"}
            <= desk.document(maps.HEARTBEAT, "trader@BLUE")["refused"].keys()
        )
    )
    desk.feed(2)
    desk.check_journal()


def test_a_bridge_that_lost_its_ledger_is_followed_all_the_same(desk):
    assert desk.document(maps.FEATURES, maps.LATEST_SCAN)["epoch"] > 1
    desk.stack.request(do="stop", name="bridge")
    shutil.rmtree(ledger_folder(desk.stack.home / "run"))
    for old in desk.scan_dir.rglob("*.arrow"):
        old.unlink()
    desk.stack.request(do="start", name="bridge")
    desk.feed(3)
    assert desk.document(maps.FEATURES, maps.LATEST_SCAN)["epoch"] == 1
    desk.check_journal()


def test_a_scan_with_an_absurd_name_or_price_is_journalled_like_any_other(desk):
    scan = desk.next_scan()
    for name, price in [
        ("", 1.0),
        ("x" * 500, 1.0),
        ('qu"ote', 1.0),
        ("NEWUSDT", 1e308),
        ("OLDUSDT", 5e-324),
    ]:
        scan.assets.append(name)
        scan.prices.append(price)
        scan.eigenvalues.append(1.0)
    write_scan(desk.scan_dir, scan)
    desk.wait_journalled(scan)
    desk.feed(2)
    assert desk.document(maps.state_map("BLUE"), maps.LATEST_STATE)["mismatch"] is None
    desk.check_journal()


class Planted:
    """Pickled, it would run a command where it is read."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def test_a_pickled_value_is_not_run_and_the_stack_trades_on(desk, tmp_path):
    mark = tmp_path / "run"
    plain = hazelcast.HazelcastClient(
        cluster_name="dolphin", cluster_members=[f"127.0.0.1:{desk.stack.port}"]
    )
    try:
        for map_name, key in ((maps.FEATURES, maps.LATEST_SCAN), (maps.SAFETY, maps.LATEST)):
            plain.get_map(map_name).blocking().put(key, Planted(mark))
    finally:
        plain.shutdown()
    assert desk.document(maps.FEATURES, maps.LATEST_SCAN) is None
    desk.wait_trading()
    desk.feed(2)
    assert not mark.exists()
    with pytest.raises(HazelcastSerializationError, match="refusing to pickle"):
        desk.client.get_map(maps.FEATURES).blocking().put("test", Planted(mark))


def bomb(scan, n):
    """Return a scan file of some kilobytes whose eigenvalues are ``n`` zeros."""
    lists = {
        name: [[*value]] for name, value in (("assets", scan.assets), ("asset_prices", scan.prices))
    }
    values = pa.ListArray.from_arrays(pa.array([0, n], pa.int32()), pa.array(np.zeros(n)))
    columns = [[scan.scan_number], pa.array([scan.timestamp_us]).cast(SCHEMA.field("timestamp").type),
               lists["assets"], lists["asset_prices"], values]  # fmt: skip
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_file(sink, SCHEMA, options=options) as writer:
        writer.write_batch(pa.record_batch(columns, schema=SCHEMA))
    return sink.getvalue().to_pybytes()


def test_a_small_file_that_holds_a_gigabyte_is_quarantined_and_the_reader_lives(desk):
    desk.feed(1)
    scan = desk.next_scan()
    data = bomb(scan, 40_000_000)
    assert len(data) < 100_000
    replaced = desk.bridge_beat().get("refused", {}).get("reader_replaced", 0)
    path = scan_path(desk.scan_dir, scan)
    path.write_bytes(data)
    folder = ledger_folder(desk.stack.home / "run")

    def reason():
        lines = [line for day in ledger_days(folder).values() for line in read_lines(day)]
        return next((line.reason for line in lines if path.name in line.path and line.reason), None)

    said = eventually(reason, 30, "the file in quarantine")
    assert "unchanged for" in said
    assert desk.bridge_beat().get("refused", {}).get("reader_replaced", 0) == replaced
    desk.feed(2)
