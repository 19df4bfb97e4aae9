"""What is to be said of the alerts now: each cause once, what follows under it, recoveries together.

Pure. An alert is an episode from its red line to its recovery. One that can follow from another
waits a moment for its cause; a cause that has recovered waits for what followed from it.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final, Literal

import msgspec

from dolphin_realtime.model.health.causes import explained, may_follow
from dolphin_realtime.runtime.alert_care import Care
from dolphin_realtime.runtime.alert_log import Alert, AlertKey

WAIT: Final = timedelta(seconds=45)
"""So long an alert that can follow from another waits for its cause: Dagster needs two looks."""
HOLD: Final = timedelta(minutes=10)
"""So long a recovery waits for what followed: a posture cools down, a factor is asked again."""
LINGER: Final = timedelta(minutes=2)
"""So long anything else may stay red after its cause is well."""
FEED: Final = "scan_feed"
"""Scans come every few seconds: what is wrong with them is told soon, whatever its check."""
SLOW: Final = ("posture", "may_trade", "is_complete", "is_fresh")
Word = Literal["red", "still red", "recovered"]


class Episode(msgspec.Struct, kw_only=True):
    """An alert that a receiver has not been told the end of.

    Attributes:
        alert: Its red line.
        recovered: Its recovery, None while it is red.
        sent: When the receiver was last told that it is red; None: not yet.
        cause: The alert it follows from.
    """

    alert: Alert
    recovered: Alert | None = None
    sent: datetime | None = None
    cause: AlertKey | None = None


class Item(msgspec.Struct, frozen=True):
    """One thing to say: an alert with what follows from it."""

    word: Word
    alert: Alert
    followers: tuple[AlertKey, ...] = ()


Episodes = dict[AlertKey, Episode]


def applied(episodes: Episodes, lines: Iterable[Alert]) -> Episodes:
    """Return the episodes after some new lines."""
    found = dict(episodes)
    for line in lines:
        before = found.get(line.key)
        if line.state == "red":
            sent = before.sent if before is not None and before.recovered is not None else None
            found[line.key] = Episode(alert=line, sent=sent)
        elif before is not None:
            found[line.key] = msgspec.structs.replace(before, recovered=line)
    return found


def plan(
    episodes: Episodes, care: Mapping[AlertKey, Care], now: datetime, repeat: timedelta | None
) -> tuple[list[Item], Episodes]:
    """Return what to say now, and the episodes once it was said.

    Args:
        episodes: Of one receiver.
        care: Who takes care of which alert.
        now: Wall time.
        repeat: After so long a red alert that nobody acknowledged is said again; None: never.
    """
    causes = _causes(episodes, now)
    after = {
        key: msgspec.structs.replace(one, cause=causes.get(key)) for key, one in episodes.items()
    }
    items: list[Item] = []
    for key in [key for key in after if key not in causes]:
        one = after[key]
        if one.recovered and key in care and care[key].is_silenced:
            del after[key]  # it ended in silence
            continue
        followers = tuple(sorted(other for other, cause in causes.items() if cause == key))
        over = tuple(f for f in followers if after[f].recovered)
        said = _said(key, one, [after[f] for f in followers], care.get(key), now, repeat)
        items += [Item(w, line, over if w == "recovered" else followers) for w, line in said]
        if said and said[-1][0] == "recovered":
            for gone in (key, *over):
                del after[gone]
        elif said:
            after[key] = msgspec.structs.replace(one, sent=now)
    return items, after


def _causes(episodes: Episodes, now: datetime) -> dict[AlertKey, AlertKey]:
    """Return what each alert follows from: the cause it had, else one that is or just was red."""
    found: dict[AlertKey, AlertKey] = {}
    for key, one in episodes.items():
        cause = one.cause
        if cause not in episodes:
            near = {k: e.alert for k, e in episodes.items() if k == key or _is_near(e, one)}
            cause = explained(near).get(key)
        if cause is not None and _holds(key, one, episodes[cause], now):
            found[key] = cause
    return {key: found.get(cause, cause) for key, cause in found.items()}


def _is_near(cause: Episode, one: Episode) -> bool:
    """Return whether a cause was red when an alert began, or had been a moment before."""
    return cause.recovered is None or one.alert.ts <= cause.recovered.ts + WAIT


def _holds(key: AlertKey, one: Episode, cause: Episode, now: datetime) -> bool:
    """Return whether an alert still stands under its cause.

    Not if it began long after it: it may have another reason. Nor if it stays red though its cause
    has been well for a while, for `SLOW` ones a longer while.
    """
    if one.alert.ts > cause.alert.ts + HOLD or not _is_near(cause, one):
        return False
    if cause.recovered is None or one.recovered is not None:
        return True
    lingers = HOLD if key[1] in SLOW and key[0] != FEED else LINGER
    return now < cause.recovered.ts + lingers


def _said(
    key: AlertKey, one: Episode, followers: list[Episode], care: Care | None, now: datetime,
    repeat: timedelta | None,
) -> list[tuple[Word, Alert]]:  # fmt: skip
    if care is not None and care.is_silenced:
        return []
    if one.recovered is not None:
        is_whole = all(f.recovered for f in followers) or now - one.recovered.ts >= HOLD
        first: list[tuple[Word, Alert]] = [] if one.sent else [("red", one.alert)]
        if not is_whole:
            return first
        return [*first, ("recovered", one.recovered)]
    if one.sent is None:
        waits = may_follow(key, one.alert) and now - one.alert.ts < WAIT
        return [] if waits else [("red", one.alert)]
    is_due = repeat is not None and care is None and now - one.sent >= repeat
    return [("still red", one.alert)] if is_due else []
