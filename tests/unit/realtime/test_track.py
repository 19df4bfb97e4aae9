"""Scores settle over turns, and the observer suspects itself before it acts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dolphin_realtime.model.health.debounce import Debouncer
from dolphin_realtime.model.health.self_check import Seen, SelfCheck


def taken(*raws, step_s=5.0):
    track, now_s = Debouncer(), 0.0
    for raw in raws:
        track.update(raw, now_s)
        now_s += step_s
    return track, now_s - step_s


@pytest.mark.parametrize(
    ("raws", "settled"),
    [
        ((1, 0, 0), 1),
        ((1, 0, 0, 0), 0),
        ((1, 0.5, 0.5, 0.5), 0.5),
        ((1, 0.5, 0.5, 0), 0),
        ((0, 1), 0),
        ((0, 1, 1), 1),
        ((1, 0, 1, 0, 1, 0, 1, 0), 1),
        ((0, 1, 0, 1, 0, 1), 0),
        ((1, 0, 0, None, 0), 0),
        ((0,), 0),
    ],
)
def test_three_bad_turns_worsen_and_two_good_improve(raws, settled):
    track, now_s = taken(*raws)
    assert track.score(now_s) == settled


def test_unknown_keeps_its_score_for_thirty_seconds_and_is_never_a_fault():
    track, now_s = taken(1.0, None)
    assert track.score(now_s) == 1.0
    assert track.score(30.0) == 1.0
    assert track.score(30.1) == 0.0
    assert (track.is_known_bad, track.word) == (False, "unknown")
    bad, _ = taken(1, 0, 0, 0, None)
    assert taken(1, 0, 0, 0)[0].is_known_bad
    assert not bad.is_known_bad
    assert not bad.is_known_dead


def test_what_is_bad_at_the_first_look_counts_but_is_no_reason_to_act():
    track, now_s = taken(0)
    assert (track.score(now_s), track.is_known_bad) == (0, False)
    assert not taken(0, 0)[0].is_known_bad
    assert taken(0, 0, 0)[0].is_known_dead


def test_bad_turns_far_apart_do_not_add_up():
    assert taken(1, 0, None, 0, 0)[0].is_known_bad
    assert not taken(1, 0, None, None, 0, None, None, 0)[0].is_known_bad


def test_what_was_unknown_for_too_long_does_not_come_back_good_by_one_look():
    track, _ = taken(1, None)
    track.update(0, 60.0)
    assert (track.score(60.0), track.word) == (0, "dead")
    track.update(1, 65.0)
    assert track.score(65.0) == 0
    track.update(1, 70.0)
    assert (track.score(70.0), track.word) == (1, "good")


def test_what_is_bad_but_has_not_settled_is_doubtful():
    assert [taken(*raws)[0].word for raws in ((1, 0), (1, 0, 0, 0), (0, 1))] == [
        "doubtful", "dead", "dead",
    ]  # fmt: skip


def test_turns_before_a_long_silence_prove_nothing():
    track, now_s = taken(1, 0, 0)
    track.forget_streak()
    track.update(0, now_s + 60)
    assert track.settled == 1


@given(st.lists(st.sampled_from([0.0, 0.5, 1.0, None]), min_size=1, max_size=30))
def test_one_more_bad_turn_never_improves_a_score(raws):
    track, now_s = taken(*raws)
    before = track.score(now_s)
    track.update(0.0, now_s)
    assert track.score(now_s) <= max(before, 0.0)


def seen(known=10, bad=0, newly_bad=0, aged=5, aged_bad=0):
    return Seen(known=known, bad=bad, newly_bad=newly_bad, aged=aged, aged_bad=aged_bad)


def test_more_than_half_gone_bad_in_one_turn_is_the_observers_fault_until_it_is_calm():
    observer = SelfCheck(5.0)
    observer.judge(1000.0, 0.0, seen(bad=5, newly_bad=5))
    assert observer.suspicion is None
    observer.judge(1005.0, 5.0, seen(bad=6, newly_bad=6))
    assert observer.suspicion == "6 of 10 targets went bad in one turn"
    observer.judge(1010.0, 10.0, seen(bad=6))
    assert observer.suspicion is not None
    observer.judge(1015.0, 15.0, seen())
    assert observer.suspicion is not None
    observer.judge(1020.0, 20.0, seen())
    assert observer.suspicion is None


@pytest.mark.parametrize(("step_s", "is_suspect"), [(5.0, False), (5.1, True), (-5.1, True)])
def test_a_clock_that_leaps_is_suspect(step_s, is_suspect):
    observer = SelfCheck(5.0)
    observer.judge(1000.0, 0.0, seen())
    observer.judge(1005.0 + step_s, 5.0, seen())
    assert (observer.suspicion is not None) == is_suspect


def test_a_clock_step_is_accepted_once_the_world_agrees_with_it():
    observer = SelfCheck(5.0)
    observer.judge(1000.0, 0.0, seen())
    for turn in range(1, 50):
        observer.judge(4600.0 + 5 * turn, 5.0 * turn, seen(bad=5, aged_bad=5))
        assert observer.suspicion == "the wall clock leapt by +3600 s"
    for turn in range(50, 52):
        observer.judge(4600.0 + 5 * turn, 5.0 * turn, seen())
    assert observer.suspicion is None


def test_a_turn_that_comes_much_too_late_is_a_sleep():
    observer = SelfCheck(5.0)
    assert [observer.slept(at) for at in (0, 5, 12, 72, 77)] == [False, False, False, True, False]
