"""One message a cause: what follows stands under it, recoveries come together, care holds back."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from dolphin_realtime.model.health.causes import CAUSES, explained, may_follow
from dolphin_realtime.runtime.alert_care import Care, CareLine, care_for
from dolphin_realtime.runtime.alert_log import Alert, parse_alerts
from dolphin_realtime.services.alerter.episodes import LINGER, WAIT, applied, plan

AT = datetime(2026, 1, 1, 12, tzinfo=UTC)
GRID, BRIDGE, POSTURE = ("hazelcast", "service"), ("bridge", "is_alive"), ("safety", "posture")
FOLLOWING = "CLOSE_ONLY: HEALTH_DEAD: rm_meta is 0.0"


def alert(key, state="red", after=0.0, why="it is away"):
    at = AT + timedelta(seconds=after)
    return Alert(ts=at, asset=key[0], check=key[1], state=state, facts={"why": why}, runbook="x")


class Receiver:
    """What one receiver is told, second by second."""

    def __init__(self, repeat=None):
        self.episodes, self.told, self.repeat, self.care = {}, [], repeat, []

    def look(self, after, *lines):
        now = AT + timedelta(seconds=after)
        self.episodes = applied(self.episodes, lines)
        active = {key: one.alert for key, one in self.episodes.items()}
        care = care_for(active, self.care, now)
        items, self.episodes = plan(self.episodes, care, now, self.repeat)
        said = [(i.word, i.alert.key, i.followers) for i in items]
        self.told += said
        return said


def test_a_member_that_dies_is_one_message_and_one_recovery():
    one = Receiver()
    assert one.look(1, alert(POSTURE, after=1, why=FOLLOWING)) == []
    assert one.look(5, alert(GRID, after=5)) == [("red", GRID, (POSTURE,))]
    assert one.look(20, alert(BRIDGE, after=20)) == []
    assert one.look(60, alert(GRID, "recovered", 60), alert(BRIDGE, "recovered", 60)) == []
    done = one.look(300, alert(POSTURE, "recovered", 300))
    assert done == [("recovered", GRID, (BRIDGE, POSTURE))]
    assert one.look(9999) == []
    assert one.episodes == {}


def test_what_has_no_cause_is_told_by_itself_after_a_moment():
    one, wait = Receiver(), WAIT.total_seconds()
    assert one.look(1, alert(BRIDGE, after=1)) == []
    assert one.look(wait) == []
    assert one.look(wait + 1) == [("red", BRIDGE, ())]
    assert one.look(99, alert(BRIDGE, "recovered", 99)) == [("recovered", BRIDGE, ())]


def test_what_cannot_follow_from_anything_is_told_at_once():
    one = Receiver()
    assert one.look(0, alert(POSTURE, why="HALTED: DAILY_LOSS: 3.1 %")) == [("red", POSTURE, ())]
    run = ("daily_backtest 2025-05-12|BLUE", "run")
    assert one.look(0, alert(run)) == [("red", run, ())]


def test_a_loss_never_hides_behind_a_dead_member():
    both = {GRID: alert(GRID), POSTURE: alert(POSTURE, why="HALTED: NO_SCAN: x; DRAWDOWN: 12 %")}
    assert explained(both) == {}
    assert not may_follow(POSTURE, both[POSTURE])


def test_what_stays_red_after_its_cause_is_told_then():
    one = Receiver()
    one.look(0, alert(GRID), alert(BRIDGE))
    one.look(10, alert(GRID, "recovered", 10))
    later = 10 + LINGER.total_seconds()
    assert one.look(later - 1) == []
    assert one.look(later) == [("recovered", GRID, ()), ("red", BRIDGE, ())]


def test_a_factor_that_a_lost_grid_took_along_has_time_to_be_asked_again():
    one, factor = Receiver(), ("taker_flow", "is_fresh")
    one.look(0, alert(GRID))
    one.look(10, alert(GRID, "recovered", 10), alert(factor, after=5))
    assert one.look(10 + LINGER.total_seconds()) == []
    feed = ("scan_feed", "is_fresh")
    assert one.look(131, alert(feed, after=5)) == [("red", feed, ())], "a feed has none"
    back = alert(factor, "recovered", 300)
    assert one.look(300, back) == [("recovered", GRID, (factor,))]


def test_a_time_without_a_zone_is_an_unreadable_line():
    lines = msgspec.json.encode(alert(GRID)) + b"\n" + msgspec.json.encode(alert(BRIDGE))
    naive = lines.replace(b"Z", b"", 1)
    assert [one.key for one in parse_alerts(lines)] == [GRID, BRIDGE]
    assert [one.key for one in parse_alerts(naive)] == [BRIDGE]


def test_an_event_that_is_over_at_once_is_told_whole():
    one, start = Receiver(), ("trader_blue", "live_start")
    said = one.look(0, alert(start), alert(start, "recovered"))
    assert said == [("red", start, ()), ("recovered", start, ())]
    assert one.episodes == {}


def care(kind, key, after=0.0, until=None, episode=AT):
    end = None if until is None else AT + timedelta(seconds=until)
    at = AT + timedelta(seconds=after)
    return CareLine(at=at, kind=kind, asset=key[0], check=key[1], until=end, episode=episode, reason="known", by="olga")  # fmt: skip


RUN = ("daily_backtest 2025-05-12|BLUE", "run")


def test_a_red_alert_is_repeated_until_someone_cares():
    one = Receiver(timedelta(hours=1))
    one.look(0, alert(RUN))
    assert one.look(3599) == []
    assert one.look(3600) == [("still red", RUN, ())]
    one.care.append(care("ack", RUN))
    assert one.look(9999) == []
    assert one.look(9999, alert(RUN, "recovered", 9999)) == [("recovered", RUN, ())]


def test_an_acknowledgement_is_of_one_episode():
    one = Receiver(timedelta(hours=1))
    one.care.append(care("ack", RUN, episode=AT - timedelta(days=1)))
    one.look(0, alert(RUN))
    assert one.look(3600) == [("still red", RUN, ())]


def test_a_silence_is_over_when_its_time_is_and_tells_what_is_left():
    one = Receiver()
    one.care.append(care("silence", ("daily_*", "*"), until=100, episode=None))
    assert one.look(0, alert(RUN)) == []
    assert one.look(99) == []
    assert one.look(100) == [("red", RUN, ())]


def test_what_came_and_went_in_silence_is_never_told():
    one = Receiver()
    one.care.append(care("silence", ("*", "*"), until=100, episode=None))
    one.look(0, alert(RUN))
    one.look(50, alert(RUN, "recovered", 50))
    assert one.look(200) == []
    assert one.episodes == {}


def test_care_can_be_lifted_and_says_who_cares():
    active = {RUN: alert(RUN)}
    lines = [care("ack", RUN)]
    assert care_for(active, lines, AT)[RUN].words == "acknowledged by olga until it is well: known"
    assert care_for(active, [*lines, care("lift", RUN)], AT) == {}
    both = [*lines, care("silence", RUN, until=60, episode=None)]
    found = care_for(active, both, AT)[RUN]
    assert isinstance(found, Care)
    assert found.words == "silenced by olga until 2026-01-01 12:01: known"


@pytest.mark.parametrize("rule", CAUSES, ids=lambda rule: " ".join(rule.cause))
def test_every_rule_explains_something_and_no_circle_is_endless(rule):
    cause = tuple(part.replace("*", "x").replace("?", "1") for part in rule.cause)
    keys = {cause} | {
        (asset.replace("{}", cause[0]).replace("*", "y"), check.replace("?", "1").replace("*", "z"))
        for asset, check in rule.follows
    }
    active = {key: alert(key, why=FOLLOWING) for key in keys}
    found = explained(active)
    assert found
    roots = keys - set(found)
    assert set(found.values()) <= roots


def test_a_silenced_cause_that_recovered_takes_nothing_with_it():
    one = Receiver()
    one.look(0, alert(GRID))
    one.care.append(care("silence", GRID, until=7 * 86_400, episode=None))
    one.look(100, alert(GRID, "recovered", 100))
    one.look(86_400, alert(BRIDGE, after=86_400))
    assert one.look(86_400 + WAIT.total_seconds()) == [("red", BRIDGE, ())]


def test_what_is_still_red_is_not_said_to_have_recovered():
    one, later = Receiver(), 60 + LINGER.total_seconds()
    one.look(0, alert(BRIDGE))
    one.look(WAIT.total_seconds())
    one.look(50, alert(GRID, after=50))
    one.look(60, alert(GRID, "recovered", 60))
    assert one.look(later) == [("recovered", GRID, ())]
    assert one.look(later + 1, alert(BRIDGE, "recovered", later + 1)) == [("recovered", BRIDGE, ())]


def test_a_fault_just_after_its_cause_recovered_is_told_if_it_stays():
    """What reads the grid late is late to see it empty; what stays red is told within two minutes."""
    one = Receiver()
    one.look(0, alert(GRID), alert(POSTURE, why=FOLLOWING))
    one.look(130, alert(GRID, "recovered", 130))
    assert one.look(150, alert(BRIDGE, after=150)) == []
    assert one.look(130 + LINGER.total_seconds()) == [("red", BRIDGE, ())]
    assert one.look(300, alert(POSTURE, "recovered", 300)) == [("recovered", GRID, (POSTURE,))]


def test_a_fault_well_after_its_cause_recovered_is_one_of_its_own():
    one = Receiver()
    one.look(0, alert(GRID), alert(POSTURE, why=FOLLOWING))
    one.look(130, alert(GRID, "recovered", 130))
    one.look(200, alert(BRIDGE, after=200))
    assert one.look(200 + WAIT.total_seconds()) == [("red", BRIDGE, ())]


def test_a_whole_stack_goes_and_comes_in_two_messages():
    """As it was seen: each part turns red and well again at its own time, the cause first."""
    one, state, light = Receiver(), ("trader_BLUE", "state_holds"), ("meta_health", "is_green")
    factor = ("taker_flow", "is_fresh")
    assert one.look(0, alert(GRID)) == [("red", GRID, ())]
    one.look(
        12, *(alert(key, after=12) for key in (BRIDGE, ("trader_BLUE", "is_alive"), state, light))
    )
    one.look(46, alert(POSTURE, after=46, why=FOLLOWING))
    one.look(55, alert(GRID, "recovered", 55))
    assert one.look(62, alert(factor, after=62)) == []
    well = (BRIDGE, ("trader_BLUE", "is_alive"), state, light, POSTURE, factor)
    said = one.look(80, *(alert(key, "recovered", 80) for key in well))
    assert said == [("recovered", GRID, tuple(sorted(well)))]
    assert one.episodes == {}


def test_a_fault_long_after_its_cause_began_is_told():
    """The feed is red for hours and known; that a trader's state does not hold is news."""
    one, state, late = Receiver(), ("trader_GREEN", "state_holds"), 4 * 3600
    feed = ("scan_feed", "is_fresh")
    one.look(0, alert(feed))
    one.look(WAIT.total_seconds())
    one.look(late, alert(state, after=late))
    assert one.look(late + WAIT.total_seconds()) == [("red", state, ())]


def test_of_two_silences_the_longer_one_counts():
    active = {RUN: alert(RUN)}
    lines = [
        care("silence", ("*", "*"), until=4 * 3600, episode=None),
        care("silence", RUN, until=1800, episode=None),
    ]
    assert care_for(active, lines, AT + timedelta(hours=1))[RUN].is_silenced


def test_a_posture_that_cannot_be_read_follows_from_the_dead_member():
    both = {GRID: alert(GRID), ("safety", "may_trade"): alert(("safety", "may_trade"), why="no Hazelcast member answers: x")}  # fmt: skip
    assert explained(both) == {("safety", "may_trade"): GRID}
