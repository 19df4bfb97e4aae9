"""A desk at its beginning: parameters of the environment, and the signal's warm-up.

Shared by the trader and the backtest, so that both begin from the same state.
"""

from pathlib import Path

from dolphin_realtime.model.desk import Desk
from dolphin_realtime.parameters import load_parameters
from dolphin_realtime.scan_files import read_archive


def make_desk(instance: str) -> Desk:
    """Return an empty desk with the instance's parameters of the environment.

    Raises:
        SettingsError: If a variable of a group of parameters is wrong.
    """
    p = load_parameters(instance)
    return Desk(instance, p.signal, p.target, p.costs, p.limits)


def warm_up(desk: Desk, archive: Path, days: int, before: str = "9999") -> int:
    """Step the signal through the newest archived days and return how many scans that were.

    Args:
        desk: Whose signal.
        archive: Folder of ``<day>.parquet``.
        days: How many days.
        before: Only days before this one, YYYY-MM-DD.

    Raises:
        ScanError: If an archive cannot be read.
    """
    paths = [p for p in sorted(archive.glob("????-??-??.parquet")) if p.stem < before]
    n_scans = 0
    for path in paths[-days:] if days else []:
        for scan in read_archive(path):
            desk.warm_up(scan)
            n_scans += 1
    return n_scans
