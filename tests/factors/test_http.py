"""How a host is asked: tries, pauses asked for, weight, and a failing source asked less often."""

from datetime import UTC, datetime, timedelta

import pytest

from dolphin_dagster.factors.registry import external
from dolphin_dagster.sources.http import retry_after_s, weight_limit
from dolphin_dagster.sources.memory import Circuit, HostMemory, SourceMemory, wall_now
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
    memory.used, memory.used_at = 1200.0, wall_now() + timedelta(minutes=1)
    replayed.memory.keep_host("binance", memory)
    with pytest.raises(SourceUnavailable, match="our share of its weight is used"):
        replayed.read(indicator)


def test_weight_of_the_last_minute_does_not_count():
    memory = HostMemory(weight_limit=2400, used=1200, used_at=T)
    assert memory.wait_until(T) == datetime(2026, 1, 1, 12, 1, tzinfo=UTC)
    assert memory.wait_until(T + timedelta(seconds=30)) is None
    assert HostMemory(weight_limit=2400, used=1199, used_at=T).wait_until(T) is None


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
    circuit, cadence = Circuit(), timedelta(minutes=5)
    waits = []
    for _ in range(6):
        circuit = circuit.failed(T, "no answer")
        until = circuit.next_try(cadence)
        waits.append((until - T) / timedelta(minutes=1) if until else 0)
    assert waits == [0, 10, 20, 40, 60, 60]
    assert circuit.since == T
    daily = Circuit(failures=9, last=T, since=T)
    assert daily.next_try(timedelta(hours=6)) - T == timedelta(hours=6)


def test_a_torn_memory_is_none(tmp_path):
    memory = SourceMemory(tmp_path)
    memory.keep_circuit("vix", Circuit(failures=3))
    assert memory.circuit("vix").failures == 3
    (tmp_path / "vix.json").write_text('{"failu')
    assert memory.circuit("vix") == Circuit()
