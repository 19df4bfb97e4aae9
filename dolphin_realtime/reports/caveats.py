"""What a reader of a report must know about its prices, from the journal itself. Pure."""

from typing import Any, Final

from dolphin_realtime.model.instant import from_us
from dolphin_realtime.reports.period import Period

SHOWN: Final = 5


def caveats_of(period: Period) -> list[str]:
    """Return a sentence for each held asset without a sound price and each operator command."""
    named = [_unpriced(row) for row in period.unpriced[:SHOWN]]
    more = len(period.unpriced) - SHOWN
    if more > 0:
        named.append(f"{more} more held assets were without a sound price for a time.")
    return named + [_changed(row) for row in period.changes]


def _unpriced(row: dict[str, Any]) -> str:
    first, last = (f"{from_us(row[name]):%Y-%m-%d %H:%M}" for name in ("first_us", "last_us"))
    return (
        f"{row['asset']} was held without a sound price at {row['scans']:,} scans from {first} to "
        f"{last} UTC ({row['reason']}): it was marked at its last one and could not be traded."
    )


def _changed(row: dict[str, Any]) -> str:
    value = "" if row["value"] is None else f" {row['value']:g}"
    return (
        f"{row['who']} changed {row['asset']} by hand at {row['at'][:19]}: {row['act']}{value}, "
        f"{row['quantity_before']:g} to {row['quantity']:g} units, {row['realised']:,.2f} USDT "
        f"realised ({row['reason']})."
    )
