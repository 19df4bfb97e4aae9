"""External factors from Parquet files: known from their fetch on, and no sooner."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dolphin_realtime.factors.files import SCHEMA, read_factors
from dolphin_realtime.model.errors import SettingsError
from dolphin_realtime.model.instant import DAY_US, day_of
from tests.scans import NOON_US


def row(name, asset, value, fetch_us, event_us=0, **more):
    return {"name": name, "asset": asset, "value": value, "unit": "fraction", "event_time": event_us,
            "fetch_time": fetch_us, "lifetime_s": 3600.0, "source": "test", **more}  # fmt: skip


def write(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), path)
    return path


def test_a_reading_counts_from_its_fetch_on(tmp_path):
    path = write(
        tmp_path / "f.parquet",
        [
            row("funding", "B", 2e-4, NOON_US + 60),
            row("funding", "A", 1e-4, NOON_US, interval_h=8.0, percentile_90=3e-4),
            row("funding", "A", 5e-4, NOON_US + 120, event_us=NOON_US - 10**9),
            row("dvol_btc", None, 55.0, NOON_US + 60),
            row("vix", None, 20.0, NOON_US),
        ],
    )
    history = read_factors(path)
    assert not history.at(NOON_US - 1).funding
    first = history.at(NOON_US + 59)
    assert set(first.funding) == {"A"}
    assert (first.funding["A"].interval_h, first.funding["A"].percentile_90) == (8.0, 3e-4)
    later = history.at(NOON_US + 119)
    assert (later.funding["A"].value, later.funding["B"].value, later.dvol_btc.value) == (
        1e-4,
        2e-4,
        55.0,
    )
    assert history.at(NOON_US + 120).funding["A"].value == 5e-4


def test_a_folder_is_read_by_day(tmp_path):
    for n in range(-9, 3):
        at_us = NOON_US + n * DAY_US
        write(tmp_path / f"{day_of(at_us)}.parquet", [row("funding", f"D{n}", 1e-4, at_us)])
    today = day_of(NOON_US)
    history = read_factors(tmp_path, today, today)
    assert set(history.at(1 << 62).funding) == {f"D{n}" for n in range(-7, 1)}


def test_a_missing_value_is_left_out_and_none_is_no_history(tmp_path):
    path = write(tmp_path / "f.parquet", [row("funding", "A", None, NOON_US)])
    assert not read_factors(path)
    assert not read_factors(None)


def test_a_file_of_other_columns_is_named(tmp_path):
    pq.write_table(pa.table({"x": [1]}), tmp_path / "f.parquet")
    with pytest.raises(SettingsError, match=r"f\.parquet: column 'name' is missing"):
        read_factors(tmp_path / "f.parquet")
    (tmp_path / "g.parquet").write_bytes(b"no")
    with pytest.raises(SettingsError, match=r"g\.parquet"):
        read_factors(tmp_path / "g.parquet")
