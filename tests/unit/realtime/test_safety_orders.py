"""Manual orders survive everything, and a doubtful line counts as a HALT."""

from datetime import UTC, datetime, timedelta

import pytest

from dolphin_realtime.model.documents import Heartbeat, StateDocument
from dolphin_realtime.model.risk.posture import InstancePosture, Posture, SafetyDocument
from dolphin_realtime.services.safety.commands import CommandLog, note_of, order_of
from dolphin_realtime.services.safety.instance_posture import PostureOfInstance
from dolphin_realtime.services.safety.memory import KeptPosture, Newest, Peaks, facts_of

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def halt():
    return order_of({"action": "set", "level": "halted", "reason": "r", "who": "op"}, NOW)


def reread(path):
    ledger = CommandLog(path)
    ledger.close()
    return ledger.active()


def test_an_order_stands_until_it_is_taken_back(tmp_path):
    path = tmp_path / "ledger.jsonl"
    assert reread(path) is None
    ledger = CommandLog(path)
    ledger.add(halt())
    assert reread(path).posture is Posture.HALTED
    ledger.add(order_of({"action": "resume", "reason": "r"}, NOW))
    assert reread(path).posture is Posture.NORMAL
    ledger.close()


def test_an_order_after_a_torn_line_is_not_lost(tmp_path):
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(b'{"action":"se')
    ledger = CommandLog(path)
    assert ledger.active().posture is Posture.HALTED
    assert "unreadable" in ledger.active().reason
    ledger.add(order_of({"action": "set", "level": "REDUCED", "reason": "r"}, NOW))
    ledger.close()
    assert reread(path).posture is Posture.REDUCED


def test_a_flatten_puts_a_floor_and_a_resume_takes_both_back(tmp_path):
    path = tmp_path / "ledger.jsonl"
    ledger = CommandLog(path)
    ledger.add(order_of({"action": "flatten", "reason": "storm", "who": "op"}, NOW))
    ledger.close()
    ledger = CommandLog(path)
    assert ledger.active().posture is Posture.CLOSE_ONLY
    assert ledger.flatten().flatten_id == NOW.isoformat()
    ledger.add(order_of({"action": "resume", "reason": "over"}, NOW))
    assert (ledger.flatten(), ledger.active().posture) == (None, Posture.NORMAL)
    ledger.close()


def test_peaks_outlive_the_service_and_begin_anew_with_a_resume(tmp_path):
    peaks = Peaks(tmp_path / "peaks.json")
    assert peaks.drawdown("BLUE", 100.0) == 0.0
    peaks.note("BLUE", 100.0, 110.0)
    assert peaks.drawdown("BLUE", 100.0) == pytest.approx(1 - 100 / 110)
    peaks.note("BLUE", 120.0, 110.0)
    again = Peaks(tmp_path / "peaks.json")
    assert again.drawdown("BLUE", 90.0) == pytest.approx(0.25)
    again.begin_again({"BLUE": 90.0})
    assert Peaks(tmp_path / "peaks.json").drawdown("BLUE", 90.0) == 0.0


@pytest.mark.parametrize(
    "document",
    [
        None,
        "no json",
        '{"updated_at": "2026-01-01T00:00:00+00:00"}',
        '{"updated_at": "2026-01-01T00:00:00+00:00", "equity": true, "peak_equity": 1, "day_loss": 0}',
        '{"updated_at": 5, "equity": 1.0, "peak_equity": 1.0, "day_loss": 0.0.0}',
    ],
)
def test_a_state_that_says_nothing_is_unknown(document):
    state = Newest(StateDocument, lambda found: found.updated_at)
    state.update(document)
    assert facts_of("BLUE", state.document, 0.0, NOW).age_s is None


def test_a_document_that_is_gone_is_remembered_with_its_age():
    newest = Newest(Heartbeat, lambda found: found.ts)
    newest.update('{"ts": "2025-12-31T23:59:50+00:00", "phase": "ready"}')
    newest.update(None)
    assert newest.document.phase == "ready"
    assert newest.age_s(NOW) == 10.0
    newest.update('{"phase": "ready"}')
    assert newest.age_s(NOW) is None


@pytest.mark.parametrize(
    ("request_", "word"),
    [
        ({"action": "set", "level": "NORMAL"}, "reason"),
        ({"action": "set", "level": "RELAXED", "reason": "r"}, "no posture"),
        ({"action": "dance", "reason": "r"}, "unknown action"),
    ],
)
def test_a_wrong_request_is_refused(request_, word):
    with pytest.raises(ValueError, match=word):
        order_of(request_, NOW)


def test_a_restart_finds_the_posture_where_it_stood(tmp_path):
    kept = KeptPosture(tmp_path / "posture")
    assert kept.load() is None
    for posture in Posture:
        kept.keep(posture)
        assert KeptPosture(tmp_path / "posture").load() is posture
    (tmp_path / "posture").write_text("banana")
    assert kept.load() is Posture.HALTED


def test_money_that_is_moved_moves_the_peak_and_another_journal_begins_its_own(tmp_path):
    peaks = Peaks(tmp_path / "peaks.json")
    peaks.note("BLUE", 1000.0, 1000.0, "aaaa", 0.0)
    peaks.note("BLUE", 900.0, 1000.0, "aaaa", -100.0)
    assert peaks.drawdown("BLUE", 900.0) == 0.0, "moved out is no loss"
    again = Peaks(tmp_path / "peaks.json")
    again.note("BLUE", 900.0, 1000.0, "aaaa", -100.0)
    assert again.drawdown("BLUE", 855.0) == pytest.approx(0.05)
    again.note("BLUE", 1100.0, 1000.0, "aaaa", 100.0)
    assert again.drawdown("BLUE", 1100.0) == 0.0
    again.note("BLUE", 50.0, 50.0, "bbbb", 0.0)
    assert again.drawdown("BLUE", 50.0) == 0.0, "a live account begins where its journal does"
    assert again.drawdown("BLUE", 45.0) == pytest.approx(0.1)


def order(action, instance="", **more):
    return order_of({"action": action, "reason": "r", "instance": instance, **more}, NOW)


def test_an_order_for_one_trader_is_for_it_alone_and_the_stricter_one_counts(tmp_path):
    ledger = CommandLog(tmp_path / "ledger.jsonl")
    ledger.add(order("set", "GREEN", level="HALTED"))
    assert (ledger.posture("GREEN"), ledger.posture("BLUE")) == (Posture.HALTED, Posture.NORMAL)
    ledger.add(order("set", level="REDUCED"))
    assert (ledger.posture("GREEN"), ledger.posture("BLUE")) == (Posture.HALTED, Posture.REDUCED)
    ledger.add(order("resume", "GREEN"))
    assert ledger.posture("GREEN") is Posture.REDUCED
    ledger.close()
    again = CommandLog(tmp_path / "ledger.jsonl")
    assert (again.posture("GREEN"), again.posture()) == (Posture.REDUCED, Posture.REDUCED)
    again.close()


def test_a_resume_for_all_takes_back_what_was_ordered_for_single_traders(tmp_path):
    ledger = CommandLog(tmp_path / "ledger.jsonl")
    ledger.add(order("flatten", "GREEN"))
    assert (ledger.flatten(), ledger.flatten("BLUE")) == (None, None)
    assert ledger.flatten("GREEN").flatten_id == NOW.isoformat()
    ledger.add(order("set", "BLUE", level="HALTED"))
    ledger.add(order("resume"))
    assert [ledger.posture(name) for name in ("", "BLUE", "GREEN")] == [Posture.NORMAL] * 3
    assert ledger.flatten("GREEN") is None
    ledger.close()


def one(folder, floor=Posture.NORMAL, name="GREEN"):
    return PostureOfInstance(name, folder, floor, NOW)


def moved(green, wanted, cool_down_s=0.0):
    changed = green.move(wanted, ["why"], NOW, cool_down_s)
    green.keep()
    return changed


def test_a_new_trader_starts_closed_and_its_first_good_turn_lifts_it_at_once(tmp_path):
    green = one(tmp_path)
    assert green.posture is Posture.CLOSE_ONLY
    assert moved(green, Posture.NORMAL, 300.0)
    assert green.posture is Posture.NORMAL
    assert one(tmp_path).posture is Posture.CLOSE_ONLY
    assert not one(tmp_path).was_fresh


def test_a_restart_raises_no_posture_and_halted_is_left_by_a_resume_alone(tmp_path):
    green = one(tmp_path)
    moved(green, Posture.HALTED)
    again = one(tmp_path)
    assert again.posture is Posture.HALTED
    assert not moved(again, Posture.NORMAL)
    again.leave_halted(NOW)
    again.keep()
    assert again.posture is Posture.CLOSE_ONLY
    assert one(tmp_path).posture is Posture.CLOSE_ONLY
    assert one(tmp_path, name="BLUE").posture is Posture.CLOSE_ONLY
    assert not one(tmp_path, name="BLUE").was_fresh, "another's posture is not its own"


def test_after_a_halt_ordered_while_it_was_down_a_resume_waits_for_the_cool_down(tmp_path):
    moved(one(tmp_path), Posture.NORMAL)
    again = one(tmp_path, floor=Posture.HALTED)
    again.leave_halted(NOW)
    assert not moved(again, Posture.NORMAL, 300.0)
    assert again.posture is Posture.CLOSE_ONLY


def test_a_posture_that_a_full_disk_refused_is_written_later(tmp_path, monkeypatch):
    green = one(tmp_path)
    moved(green, Posture.NORMAL)
    with monkeypatch.context() as full:
        full.setattr("dolphin_realtime.infra.files.replace", refuse)
        green.move(Posture.HALTED, ["why"], NOW, 0.0)
        with pytest.raises(OSError, match="full"):
            green.keep()
    green.move(Posture.HALTED, ["why"], NOW, 0.0)
    green.keep()
    assert one(tmp_path).posture is Posture.HALTED


def refuse(*_):
    raise OSError("full")


def test_the_posture_of_before_there_were_several_is_taken_over_once(tmp_path):
    (tmp_path / "posture").write_text("HALTED")
    green = one(tmp_path)
    assert green.posture is Posture.HALTED
    green.leave_halted(NOW)
    green.keep()
    assert one(tmp_path).posture is Posture.CLOSE_ONLY
    assert one(tmp_path, name="LATER").posture is Posture.CLOSE_ONLY


def test_a_transfer_counts_once_however_often_the_peak_cannot_be_written(tmp_path, monkeypatch):
    peaks = Peaks(tmp_path / "peaks.json")
    peaks.note("BLUE", 1000.0, 1000.0, "life", 0.0)
    with monkeypatch.context() as full:
        full.setattr("dolphin_realtime.infra.files.replace", refuse)
        for _ in range(5):
            with pytest.raises(OSError, match="full"):
                peaks.note("BLUE", 1090.0, 1000.0, "life", 100.0)
    assert peaks.drawdown("BLUE", 1090.0) == pytest.approx(10 / 1100)
    peaks.note("BLUE", 1090.0, 1000.0, "life", 100.0)
    assert Peaks(tmp_path / "peaks.json").drawdown("BLUE", 1090.0) == pytest.approx(10 / 1100)


def test_a_document_that_names_others_says_nothing_of_a_trader_it_does_not_name():
    whole = {"posture": Posture.HALTED, "size_multiplier": 0.0, "reasons": [], "limits": {},
             "since": NOW, "ts": NOW}  # fmt: skip
    alone = InstancePosture(posture=Posture.NORMAL, reasons=[], since=NOW)
    assert SafetyDocument(**whole).of("RED").posture is Posture.HALTED
    named = SafetyDocument(**whole, instances={"BLUE": alone})
    assert (named.of("BLUE"), named.of("RED")) == (alone, None)


def test_what_an_order_does_not_move_is_told():
    for_all, resume = order("flatten"), order("resume", "GREEN")
    assert "GREEN is HALTED" in note_of(for_all, Posture.CLOSE_ONLY, ["GREEN"])
    assert note_of(for_all, Posture.CLOSE_ONLY, []) == ""
    assert "CLOSE_ONLY stands" in note_of(resume, Posture.CLOSE_ONLY, ["GREEN"])
    assert note_of(resume, Posture.NORMAL, ["GREEN"]) == ""


def test_the_last_flatten_is_the_last_one_given_whatever_the_clock_said(tmp_path):
    ledger = CommandLog(tmp_path / "ledger.jsonl")
    late = order_of(
        {"action": "flatten", "reason": "r", "instance": "BLUE"}, NOW + timedelta(hours=1)
    )
    ledger.add(late)
    ledger.add(order("flatten"))
    assert ledger.flatten("BLUE").at == NOW
    ledger.close()
