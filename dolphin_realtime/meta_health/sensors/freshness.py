"""M3, data freshness: the age of each data source by its own timestamp."""

from datetime import datetime
from typing import Final

import msgspec

from dolphin_realtime import grid
from dolphin_realtime.meta_health.reading import Reading, Snapshot
from dolphin_realtime.model.health import Source, age_score, freshness_score

SOURCES: Final = (
    Source(
        name="scan", map_name=grid.FEATURES, key=grid.LATEST_SCAN, field="bridge_ts", weight=3.0
    ),
    Source(name="obf", map_name=grid.FEATURES, key=grid.LATEST_BOOKS, field="_pushed_at"),
    Source(
        name="extf",
        map_name=grid.FEATURES,
        key=grid.LATEST_FACTORS,
        field="_pushed_at",
        stale_s=900.0,
        dead_s=1800.0,
    ),
    Source(
        name="esof",
        map_name=grid.FEATURES,
        key=grid.LATEST_CALENDAR,
        field="_pushed_at",
        stale_s=3900.0,
        dead_s=7200.0,
    ),
    Source(name="safety", map_name=grid.SAFETY, key=grid.LATEST, field="ts"),
    Source(
        name="state", map_name=grid.state_map("BLUE"), key=grid.LATEST_STATE, field="updated_at"
    ),
)


def enabled_sources(names: str) -> list[Source]:
    """Return every source, enabled where its name is in the comma-separated ``names``."""
    wanted = {n.strip() for n in names.split(",")}
    return [msgspec.structs.replace(s, enabled=s.name in wanted) for s in SOURCES]


def read_freshness(snapshot: Snapshot, sources: list[Source], now: datetime) -> Reading:
    """Return M3 over the enabled sources; disabled ones are shown as such."""
    ages: dict[str, float | None] = {}
    for source in sources:
        document = snapshot.sources.get(f"{source.map_name}/{source.key}")
        ages[source.name] = (
            None if document is None else grid.age_s(document.get(source.field), now)
        )
    subsystems: dict[str, dict[str, object]] = {
        s.name: {"state": "disabled"}
        if not s.enabled
        else {"age_s": ages[s.name], "score": age_score(ages[s.name], s.stale_s, s.dead_s)}
        for s in sources
    }
    return Reading(score=freshness_score(ages, sources), subsystems=subsystems)
