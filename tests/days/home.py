"""A home with recorded days: scans, the bridge's ledger, and what two traders did on paper."""

import os
import shutil
import subprocess
import sys

import msgspec

from dolphin_realtime.bench.backtest import first_day
from dolphin_realtime.model.instant import DAY_US, day_of
from dolphin_realtime.replay.market import Market, ReplayParams, load_prices
from dolphin_realtime.replay.pace import archive_days
from dolphin_realtime.scans.days import ScanDays
from dolphin_realtime.scans.files import write_scan
from dolphin_realtime.scans.ledger import Line, ledger_folder

INSTANCES = ("BLUE", "GREEN")
LAST_SCANS = 20
"""Of the day that goes on."""


def ledger_line(path):
    return msgspec.json.encode(Line(path=path, stamp=(1, 1), seq=1)) + b"\n"


def settings_of(home, days):
    """Return the settings of a stack that has recorded these days."""
    return {
        "DOLPHIN_HOME": str(home), "DOLPHIN_INSTANCES": ",".join(INSTANCES),
        "DOLPHIN_ARCHIVE_FIRST_DAY": days[0], "DOLPHIN_ARCHIVE_LAST_DAY": days[-1],
        "DOLPHIN_WARM_UP_DAYS": "1", "DOLPHIN_SIGNAL_GAP_MAX_S": "900", "DOLPHIN_SOURCE_OFF": "all",
        "DOLPHIN_GREEN__TARGET_BAND": "0.07",
    }  # fmt: skip


def record(home, n_days, cadence_s=300.0):
    """Write n whole days and the begin of another; return them in order.

    The last scan of the first whole day is kept back as `late.arrow` in the home.
    """
    market = Market(load_prices(), ReplayParams(cadence_s=cadence_s))
    begin = first_day(market) - DAY_US
    archive_days(market, home / "made", begin, begin + (n_days + 1) * DAY_US)
    made = ScanDays.of(home / "made")
    days = [day_of(begin + n * DAY_US) for n in range(n_days + 1)]
    for day in days:
        for n, scan in enumerate(made.scans(day)):
            if day == days[-1] and n >= LAST_SCANS:
                break
            write_scan(home / "scans", scan)
    for instance in INSTANCES:
        trade(home, days, instance)
    ledger = ledger_folder(home / "run")
    ledger.mkdir(parents=True)
    for day in days:
        files = sorted((home / "scans" / day).iterdir())
        if day == days[0]:
            shutil.move(files.pop(), home / "late.arrow")
        (ledger / f"{day}.jsonl").write_bytes(
            b"".join(ledger_line(f"{day}/{f.name}") for f in files)
        )
    shutil.rmtree(home / "made")
    return days


def trade(home, days, instance):
    """Let a trader take every scan, as it would have live."""
    service = ["service", "trader", instance, "--scans", str(home / "scans")]
    env = {k: v for k, v in os.environ.items() if not k.startswith("DOLPHIN_")}
    done = subprocess.run(
        [sys.executable, "-m", "dolphin_realtime.cli", *service],
        env=env | settings_of(home, days), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def add_late(home, day):
    """Let the scan that was kept back arrive: on the share, and in the bridge's ledger."""
    name = max((home / "scans" / day).iterdir()).name
    late = home / "scans" / day / f"{name.removesuffix('.arrow')}-late.arrow"
    shutil.copy(home / "late.arrow", late)
    with (ledger_folder(home / "run") / f"{day}.jsonl").open("ab") as file:
        file.write(ledger_line(f"{day}/{late.name}"))
