"""A trial: a day with other parameters than the instance's own, kept apart from what it really did."""

from pathlib import Path

import msgspec

from dolphin_realtime.backtest import days
from dolphin_realtime.backtest.run import backtest_to_files
from dolphin_realtime.backtest.versus_paper import gate_inputs, opening_portfolio, scans_of
from dolphin_realtime.config.settings import Settings
from dolphin_realtime.config.trader_parameters import Parameters
from dolphin_realtime.reports.write import Report
from dolphin_realtime.scans.coverage import Reading


def trial_folder(settings: Settings, instance: str, day: str, name: str) -> Path:
    """Return the folder of a trial's result."""
    return settings.reports / "trials" / instance / day / name


def caveat(assignments: dict[str, str]) -> str:
    """Return the note at the top of a trial's report."""
    changes = ", ".join(f"{name} = {value}" for name, value in sorted(assignments.items()))
    return f"A trial with other parameters, not what was traded: {changes}."


def trial_of_day(job: days.Job, out: Path, note: str) -> Report:
    """Backtest a day from flat with a trial's parameters; raises what `days.run` raises."""
    return days.run(msgspec.structs.replace(job, caveats=(note,)), out).report


def trial_of_paper_day(
    settings: Settings, instance: str, day: str, parameters: Parameters, out: Path, note: str
) -> Report:
    """Trade a paper day again from its opening state with a trial's parameters.

    Raises:
        JournalError: If the journal does not know the day's opening.
        ScanFileError: If there is no scan of the day.
    """
    portfolio = opening_portfolio(settings.journal_dir(instance), instance, day, parameters)
    opened_us, reading = portfolio.last_us, Reading()
    todo = (s for s in days.traded(scans_of(settings, day), [day], reading) if s.timestamp_us > opened_us)  # fmt: skip
    books, factors = gate_inputs(settings, day)
    title = f"Trial of {instance}, {day}"
    return backtest_to_files(portfolio, todo, out, title, books, factors, [note], reading)[1]
