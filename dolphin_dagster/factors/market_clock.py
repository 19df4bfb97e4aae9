"""The market time: wall time, or in a replay the timestamp of the newest scan."""

from datetime import UTC, datetime

from dolphin_dagster.resources import Grid
from dolphin_realtime.grid import maps
from dolphin_realtime.model.errors import GridError

REPLAY = "replay"


def market_now(the_grid: Grid, clock: str, wall: datetime) -> datetime:
    """Return the market's time.

    Args:
        the_grid: Where the newest scan is.
        clock: The setting: wall or replay.
        wall: The wall's time.

    Raises:
        GridError: If the clock is the replay's and there is no scan to read it from.
    """
    if clock != REPLAY:
        return wall
    scan = the_grid.get(maps.FEATURES, maps.LATEST_SCAN)
    if scan is None:
        raise GridError("the replay's clock is unknown: no scan in the grid yet")
    return datetime.fromisoformat(scan["timestamp"]).astimezone(UTC)
