"""Where each product of the daily work lies on the disk, and whether it is as it was made."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import dagster as dg
import msgspec

from dolphin_dagster.daily.inputs import key_of
from dolphin_dagster.daily.partitions import days_by_instance, scan_days
from dolphin_realtime.config.settings import Settings
from dolphin_realtime.infra.day_files import day_files
from dolphin_realtime.reports import versus
from dolphin_realtime.reports.daily import paper_folder
from dolphin_realtime.reports.write import JSON

MEASURED_DAYS: Final = 8
"""Of so many last days an archive's size is compared with what its run recorded."""
BYTES: Final = "bytes"
"""Name of a file's size in a materialization's metadata."""
WARM_UP: Final = "warm_up_archives"
"""Name of the state of the archives that a backtest was warmed up with, in its metadata."""


class Product(msgspec.Struct, frozen=True):
    """What a run of an asset's partition leaves on the disk.

    Attributes:
        asset: Key of the asset.
        partition: Its partition.
        path: The file that must be there.
        is_measured: Whether it is compared with what its run recorded.
        state: Of what else it was made of, as its run would record it now.
    """

    asset: str
    partition: str
    path: Path
    is_measured: bool = False
    state: str | None = None


def backtest_folder(settings: Settings, instance: str, day: str) -> Path:
    """Return the folder of an instance's backtest of a day."""
    return settings.reports / "backtest" / instance / day


def products(settings: Settings, reports_from: str) -> Iterator[Product]:
    """Yield the products of every partition; of reports only those of a day or later."""
    days = scan_days(settings).get_partition_keys()
    for day in days:
        is_measured = day in days[-MEASURED_DAYS:]
        for asset, folder in (
            ("scan_archive", settings.archive),
            ("orderbook_archive", settings.book_archive),
        ):
            yield Product(asset, day, folder / f"{day}.parquet", is_measured)
    for key in days_by_instance(settings).get_partition_keys():
        day, instance = key.keys_by_dimension["day"], key.keys_by_dimension["instance"]
        if day < reports_from:
            continue
        partition, is_measured = key_of(day, instance), day in days[-MEASURED_DAYS:]
        made = backtest_folder(settings, instance, day) / JSON
        warm_up = warm_up_state(settings, day) if is_measured else None
        yield Product("daily_backtest", partition, made, is_measured, warm_up)
        yield Product("paper_report", partition, paper_folder(settings, instance, day) / JSON)
        compared = versus.folder_of(settings, instance, day) / versus.JSON
        yield Product("backtest_vs_paper", partition, compared)


def warm_up_state(settings: Settings, day: str) -> str:
    """Return the archives that a day's backtest is warmed up with, each with its size."""
    before = [d for d in day_files(settings.archive, ".parquet") if d < day]
    used = before[-settings.warm_up_days :] if settings.warm_up_days else []
    return "; ".join(f"{d} {_size(settings.archive / f'{d}.parquet')}" for d in used) or "none"


def _size(path: Path) -> int:
    """Return a file's size, 0 if it was removed meanwhile."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def is_as_made(one: Product, made: dg.AssetMaterialization | None) -> bool:
    """Return whether a product is there, as long as its run recorded, and of the same inputs."""
    try:
        size = one.path.stat().st_size
    except OSError:
        return False
    known = made.metadata if made else {}
    length, state = known.get(BYTES), known.get(WARM_UP)
    is_long = length is None or length.value == size
    return is_long and (state is None or one.state is None or state.value == one.state)
