"""A new portfolio: parameters from the environment, and the signal's warm-up.

Shared by the trader and the backtest, so that both start from the same state.
"""

from pathlib import Path

from dolphin_realtime.config.trader_parameters import Parameters, load_parameters
from dolphin_realtime.infra.day_files import day_files
from dolphin_realtime.model.market.venue import paper_venue
from dolphin_realtime.model.portfolio.portfolio import Portfolio
from dolphin_realtime.scans.days import ScanDays


def portfolio_of(instance: str, p: Parameters) -> Portfolio:
    """Return an empty portfolio with the given parameters."""
    venue = paper_venue(p.costs, p.faults)
    return Portfolio(instance, p.signal, p.target, p.costs, p.limits, venue)


def make_portfolio(instance: str) -> Portfolio:
    """Return an empty portfolio with the instance's parameters from the environment.

    Raises:
        SettingsError: If an environment variable of a parameter is wrong.
    """
    return portfolio_of(instance, load_parameters(instance))


def warm_up(portfolio: Portfolio, archive: Path, days: int, before: str = "9999") -> int:
    """Step the signal through the newest archived days and return how many scans that were.

    Args:
        portfolio: The portfolio whose signal is warmed up.
        archive: Folder of ``<day>.parquet``.
        days: How many days.
        before: Only days before this one, YYYY-MM-DD.

    Raises:
        ScanError: If an archive cannot be read.
    """
    if not day_files(archive, ".parquet"):
        return 0
    return warm_up_from(portfolio, ScanDays.of(archive), days, before)


def warm_up_from(portfolio: Portfolio, scans: ScanDays, days: int, before: str = "9999") -> int:
    """Step the signal through the newest ``days`` of scans before a day; return their count.

    Raises:
        ScanError: If an archive cannot be read.
    """
    n_scans = 0
    for day in scans.before(before, days):
        for scan in scans.scans(day):
            portfolio.warm_up(scan)
            n_scans += 1
    return n_scans
