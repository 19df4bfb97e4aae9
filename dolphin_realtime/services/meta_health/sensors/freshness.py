"""M3 data freshness: the age of each data source by its own timestamp."""

import math
from datetime import datetime
from typing import Final

import msgspec

from dolphin_realtime.config.settings import Settings, listed
from dolphin_realtime.grid import maps, wire
from dolphin_realtime.model.errors import SettingsError
from dolphin_realtime.model.health.scores import Source, age_score
from dolphin_realtime.services.meta_health.reading import Reading, Snapshot

VENUE: Final = "venue"
"""When a live trader last compared its ledger with the venue."""
SOURCES: Final = (
    Source(
        name="scan", map_name=maps.FEATURES, key=maps.LATEST_SCAN, field="bridge_ts", weight=3.0
    ),
    Source(name="obf", map_name=maps.FEATURES, key=maps.LATEST_BOOKS, field="_pushed_at"),
    Source(
        name="extf",
        map_name=maps.FEATURES,
        key=maps.LATEST_FACTORS,
        field="_pushed_at",
        stale_s=900.0,
        dead_s=1800.0,
    ),
    Source(
        name="esof",
        map_name=maps.FEATURES,
        key=maps.LATEST_CALENDAR,
        field="_pushed_at",
        stale_s=3900.0,
        dead_s=7200.0,
    ),
    Source(name="safety", map_name=maps.SAFETY, key=maps.LATEST, field="ts"),
    Source(name="state", map_name=maps.ALL_STATES, key=maps.LATEST_STATE, field="updated_at"),
    Source(
        name=VENUE, map_name=maps.ALL_STATES, key=VENUE, field="compared_at",
        stale_s=90.0, dead_s=300.0,
    ),
)  # fmt: skip


def sources_of(settings: Settings) -> list[Source]:
    """Return all sources; in live mode the venue is one of those that are expected.

    Raises:
        SettingsError: As `enabled_sources`.
    """
    is_named = VENUE in [part.partition("=")[0] for part in listed(settings.mhs_sources)]
    more = f",{VENUE}" if settings.mode == "live" and not is_named else ""
    return enabled_sources(settings.mhs_sources + more)


def enabled_sources(setting: str) -> list[Source]:
    """Return all sources, enabled and with thresholds according to the setting.

    Args:
        setting: Names, separated by commas; a name may be followed by the seconds after which the
            source is stale and dead, as in ``scan,extf=600/1200``.

    Raises:
        SettingsError: If it names an unknown source, or its seconds are invalid.
    """
    known = {s.name for s in SOURCES}
    wanted: dict[str, tuple[float, float] | None] = {}
    for part in listed(setting):
        name, has_own, seconds = part.partition("=")
        if name not in known:
            raise SettingsError(
                f"DOLPHIN_MHS_SOURCES names {name!r}; there are {', '.join(sorted(known))}"
            )
        wanted[name] = _thresholds(part, seconds) if has_own else None
    return [_as_wanted(source, wanted) for source in SOURCES]


def _as_wanted(source: Source, wanted: dict[str, tuple[float, float] | None]) -> Source:
    stale_s, dead_s = wanted.get(source.name) or (source.stale_s, source.dead_s)
    return msgspec.structs.replace(
        source, enabled=source.name in wanted, stale_s=stale_s, dead_s=dead_s
    )


def _thresholds(part: str, seconds: str) -> tuple[float, float]:
    try:
        stale_s, dead_s = (float(n) for n in seconds.split("/"))
    except ValueError:
        stale_s = dead_s = 0.0
    if not 0.0 < stale_s <= dead_s < math.inf:
        raise SettingsError(
            f"DOLPHIN_MHS_SOURCES has {part!r}; expected name=stale/dead in seconds, "
            "e.g. extf=900/1800"
        )
    return stale_s, dead_s


def read_freshness(
    snapshot: Snapshot, sources: list[Source], now: datetime, *, is_young: bool = False
) -> Reading:
    """Return M3 data freshness by source; a disabled source has no score and is shown as disabled.

    If the grid came up just now (``is_young``), an absent document is unknown, not missing.
    """
    scores: dict[str, float | None] = {}
    facts: dict[str, dict[str, object]] = {}
    for source in sources:
        if not source.enabled:
            facts[source.name] = {"state": "disabled"}
            continue
        document = snapshot.sources.get(f"{source.map_name}/{source.key}")
        age_s = None if document is None else wire.age_s(document.get(source.field), now)
        score = age_score(age_s, source.stale_s, source.dead_s)
        scores[source.name] = None if document is None and is_young else score
        stamp = (document or {}).get(source.field) if age_s is not None else None
        facts[source.name] = {"age_s": age_s, "stamp": stamp}
    return Reading(scores=scores, facts=facts)
