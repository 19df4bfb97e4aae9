"""From a day, a time and an asset to the explanation of the decision that was made then."""

from collections.abc import Mapping
from datetime import time
from typing import Final

from dolphin_realtime.backtest.versus_paper import scans_of
from dolphin_realtime.config.settings import Settings
from dolphin_realtime.journal.database import MODE, meta, reading
from dolphin_realtime.model.errors import JournalError
from dolphin_realtime.model.instant import MINUTE_US, day_us, from_us
from dolphin_realtime.reports.daily import days_of
from dolphin_realtime.why.explain import Explanation, explain
from dolphin_realtime.why.replay import read_day, replay
from dolphin_realtime.why.turning import turns

LONG_US: Final = 10 * MINUTE_US
"""A scan that is older than this was current at no time that an operator means."""


def last_day(settings: Settings, instance: str) -> str:
    """Return the newest day of an instance's journal.

    Raises:
        JournalError: If there is no journal, or it is empty.
    """
    days = days_of(settings.journal_dir(instance))
    if not days:
        raise JournalError(f"{instance} has handled no scan yet")
    return days[-1]


def explained(settings: Settings, instance: str, day: str, at: time, asset: str) -> Explanation:
    """Return the explanation of an asset's decision at the scan that was current at a time.

    Raises:
        JournalError: If the instance handled no scan until then, or the asset is unknown to it.
        ScanFileError: If the day's scans are neither archived nor in the scan folder.
    """
    with reading(settings.journal_dir(instance)) as db:
        if meta(db, MODE) == "live":
            raise JournalError(f"{instance} trades live: `dolphin live replay {day}` decides its day again; `why` explains paper days")  # fmt: skip
    known = read_day(settings, instance, day)
    since_us = ((at.hour * 60 + at.minute) * 60 + at.second) * 1_000_000 + at.microsecond
    wanted_us = day_us(day) + since_us
    at_us = max((us for us in known.scans if us <= wanted_us), default=None)
    if at_us is None:
        raise JournalError(f"{instance} handled no scan on {day} until {at}; {_span(known.scans)}")
    if wanted_us - at_us > LONG_US:
        raise JournalError(
            f"the newest scan of {day} until {at} is of {from_us(at_us):%H:%M:%S}: ask for that"
        )
    scans = scans_of(settings, day).scans(day)
    todo = (scan for scan in scans if scan.timestamp_us <= at_us)
    for moment in replay(settings, instance, day, todo, known, lambda us: us == at_us):
        if asset not in moment.plan.scan.assets and asset not in moment.portfolio.account.held():
            names = ", ".join(sorted(moment.plan.scan.assets)[:12])
            raise JournalError(f"{asset} is not in that scan; there are {names}, …")
        found = explain(instance, moment, asset, known)
        found.turns = turns(moment, asset)
        return found
    raise JournalError(
        f"the scan of {from_us(at_us):%H:%M:%S} is in {instance}'s journal, and not in the archive "
        "or the scan folder"
    )


def _span(scans: Mapping[int, object]) -> str:
    if not scans:
        return "it handled none that day"
    return f"its first was at {from_us(min(scans)):%H:%M:%S}"
