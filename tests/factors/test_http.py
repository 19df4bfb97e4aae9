"""How a host is asked: tries, pauses asked for, weight, and a failing source asked less often."""

from datetime import UTC, datetime, timedelta

import pytest

from dolphin_dagster.factors.registry import external
from dolphin_dagster.indicators import fear_greed
from dolphin_dagster.sources import answers
from dolphin_dagster.sources.http import weight_limit
from dolphin_realtime.factors.http_patience import retry_after_s
from dolphin_realtime.factors.source_memory import (
    CircuitBreaker,
    HostMemory,
    SourceMemory,
    wall_now,
)
from dolphin_realtime.model.errors import SourceFormatChanged, SourceUnavailable
from dolphin_realtime.replay.factor_server import Fault
from tests.factors.sources import Replayed

T = datetime(2026, 1, 1, 12, 0, 30, tzinfo=UTC)
FNG = "/fng/"


@pytest.fixture
def replayed(tmp_path):
    with Replayed(tmp_path).serving() as replayed:
        yield replayed


@pytest.mark.parametrize("fault", ["500", "truncated", "hang"])
def test_what_fails_twice_is_asked_a_third_time(replayed, fault):
    replayed.timeout_s = 0.2 if fault == "hang" else 5.0
    replayed.server.misbehave(Fault(path=FNG, fault=fault, times=2))
    assert replayed.read(external()["fear_greed"])
    assert replayed.server.asked[FNG] == 3


def test_a_refusal_is_not_asked_again(replayed):
    ask = replayed.ask(external()["open_interest"])
    with pytest.raises(SourceUnavailable, match="status 400"):
        ask.json("/fapi/v1/openInterest", dict, symbol="NOSUCH")
    assert replayed.server.asked["/fapi/v1/openInterest"] == 1


def test_a_short_retry_after_is_waited_for(replayed):
    replayed.server.misbehave(Fault(path=FNG, fault="429", times=1, retry_after="0"))
    assert replayed.read(external()["fear_greed"])
    assert replayed.server.asked[FNG] == 2


@pytest.mark.parametrize(("fault", "wait_s"), [("429", 600), ("418", 3600), ("418", 1)])
def test_a_host_that_wants_peace_gets_it(replayed, fault, wait_s):
    indicator = external()["fear_greed"]
    replayed.server.misbehave(Fault(path=FNG, fault=fault, times=1, retry_after=str(wait_s)))
    with pytest.raises(SourceUnavailable, match=f"status {fault}.*left alone for {wait_s} s"):
        replayed.read(indicator)
    until = replayed.memory.host("alternative").not_before
    assert abs((until - wall_now()).total_seconds() - wait_s) < 30
    if wait_s > 1:
        with pytest.raises(SourceUnavailable, match="not asked before"):
            replayed.read(indicator)
    assert replayed.server.asked[FNG] == 1
    replayed.forget()
    assert replayed.read(indicator)


def test_a_hosts_weight_is_read_from_the_host_and_half_of_it_is_left(replayed):
    indicator = external()["open_interest"]
    replayed.read(indicator)
    replayed.read(indicator)
    assert replayed.server.asked["/fapi/v1/exchangeInfo"] == 1
    memory = replayed.memory.host("binance")
    assert (memory.weight_limit, memory.used) == (2400, 1)


def test_the_minute_is_waited_for_whose_share_is_used(replayed, monkeypatch):
    indicator, slept = external()["open_interest"], []
    replayed.ask(indicator).learn_limit()
    memory = replayed.memory.host("binance")
    memory.used, memory.used_at = 1200.0, wall_now()
    replayed.memory.keep_host("binance", memory)
    monkeypatch.setattr("dolphin_dagster.sources.http.time.sleep", slept.append)
    assert replayed.read(indicator)
    assert len(slept) == 1, "the answer itself told of less"
    assert 0 < slept[0] <= 60


def test_weight_of_another_minute_does_not_count():
    memory = HostMemory(weight_limit=2400, used=1200, used_at=T)
    assert memory.minute_is_used(T) == timedelta(seconds=30)
    assert memory.minute_is_used(T + timedelta(seconds=30)) is None
    assert memory.minute_is_used(T - timedelta(minutes=5)) is None, "of a clock that was ahead"
    assert HostMemory(weight_limit=2400, used=1199, used_at=T).minute_is_used(T) is None


def test_a_host_that_does_not_answer_at_all_is_left_alone_for_a_minute(replayed):
    replayed.timeout_s = 0.1
    replayed.server.misbehave(Fault(path=FNG, fault="hang"))
    with pytest.raises(SourceUnavailable, match="ReadTimeout"):
        replayed.read(external()["fear_greed"])
    with pytest.raises(SourceUnavailable, match=r"not asked before .*ReadTimeout"):
        replayed.read(external()["fear_greed"])
    assert replayed.server.asked[FNG] == 3


def test_a_host_that_keeps_saying_too_many_is_left_alone(replayed):
    replayed.server.misbehave(Fault(path=FNG, fault="429", retry_after="0"))
    with pytest.raises(SourceUnavailable, match="3 times"):
        replayed.read(external()["fear_greed"])
    assert replayed.memory.host("alternative").left_alone_until(wall_now()) is not None


def test_a_pause_is_a_day_at_the_most_and_of_a_wrong_clock_none():
    memory = HostMemory()
    memory.leave_alone(T, timedelta(days=20_000), "an epoch by mistake")
    assert memory.left_alone_until(T) == T + timedelta(days=1)
    assert memory.left_alone_until(T + timedelta(days=1)) is None
    assert memory.left_alone_until(T - timedelta(days=300)) is None
    assert HostMemory(limit_at=T).needs_limit(T - timedelta(days=300))


def test_a_retry_after_beyond_reason_is_no_crash(replayed):
    many = "9" * 40
    replayed.server.misbehave(Fault(path=FNG, fault="429", times=1, retry_after=many))
    with pytest.raises(SourceUnavailable, match="status 429"):
        replayed.read(external()["fear_greed"])


@pytest.mark.parametrize("text", ["1_0", " 12 ", "١٢", "nan", "inf", "0x10", "1e999", "", "1,5"])
def test_what_is_no_plain_number_is_refused(text):
    with pytest.raises(SourceFormatChanged, match="x: f is "):
        answers.number("x", "f", text)


@pytest.mark.parametrize(("text", "value"), [("-1.5e-3", -0.0015), ("7.", 7.0), (".5", 0.5)])
def test_a_plain_number_is_read(text, value):
    assert answers.number("x", "f", text) == value


def test_a_cut_off_body_with_a_wrong_type_is_a_changed_format():
    with pytest.raises(SourceFormatChanged, match="x: "):
        answers.decode("x", b'{"data":"maintenance", "x": tru', fear_greed.Answer)


def test_limits_that_are_not_there_are_a_changed_format():
    with pytest.raises(SourceFormatChanged, match="REQUEST_WEIGHT"):
        weight_limit("binance", b'{"rateLimits": []}')
    with pytest.raises(SourceFormatChanged, match="exchangeInfo"):
        weight_limit("binance", b"<html>")


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(None, None), ("7", 7.0), ("soon", None), ("Thu, 01 Jan 2026 12:01:00 GMT", 30.0),
     ("Thu, 01 Jan 2026 11:00:00 GMT", 0.0)],
)  # fmt: skip
def test_retry_after_is_a_number_or_a_date(value, seconds):
    assert retry_after_s(value, T) == seconds


def test_a_failing_source_is_asked_less_and_less():
    circuit, cadence = CircuitBreaker(), timedelta(minutes=5)
    waits = []
    for _ in range(6):
        circuit = circuit.failed(T, "no answer")
        ticks = [T + n * cadence for n in range(1, 20)]
        asked = next(t for t in ticks if circuit.next_try(cadence, t) is None)
        waits.append((asked - T) / timedelta(minutes=1))
    assert waits == [5, 10, 20, 40, 60, 60]
    assert circuit.since == T


@pytest.mark.parametrize("hours", [1, 3, 6])
def test_a_slow_indicator_is_asked_at_its_next_tick_all_the_same(hours):
    cadence = timedelta(hours=hours)
    ended = T + timedelta(seconds=40)
    circuit = CircuitBreaker(failures=9, last=ended, since=T)
    assert circuit.next_try(cadence, ended) is not None
    assert circuit.next_try(cadence, T + cadence) is None


def test_failures_of_a_clock_that_was_ahead_do_not_count():
    circuit = CircuitBreaker(failures=5, last=T + timedelta(days=400), since=T)
    assert circuit.next_try(timedelta(minutes=5), T) is None


def test_a_torn_memory_is_none(tmp_path):
    memory = SourceMemory(tmp_path)
    memory.keep_circuit("vix", CircuitBreaker(failures=3))
    assert memory.circuit("vix").failures == 3
    (tmp_path / "vix.json").write_text('{"failu')
    assert memory.circuit("vix") == CircuitBreaker()
