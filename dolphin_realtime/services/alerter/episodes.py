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
"""So long a recovery waits for what followed: the posture has a cool-down."""
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
    causes = _causes(episodes)
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


def _causes(episodes: Episodes) -> dict[AlertKey, AlertKey]:
    """Return what each alert follows from: a cause that is red, or was when the alert began.

    An alert that begins long after its cause is told by itself: it may have another reason.
    """
    active = {key: one.alert for key, one in episodes.items() if one.recovered is None}
    found: dict[AlertKey, AlertKey] = {}
    for key, one in episodes.items():
        cause = explained({**active, key: one.alert}).get(key) or one.cause
        other = episodes.get(cause) if cause else None
        if cause is None or other is None or one.alert.ts > other.alert.ts + HOLD:
            continue
        if other.recovered is None or one.alert.ts <= other.recovered.ts:
            found[key] = cause
    return {key: cause for key, cause in found.items() if cause not in found}


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
