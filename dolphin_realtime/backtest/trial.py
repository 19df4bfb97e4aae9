"""A trial: a day with other parameters than the instance's own, kept apart from what it really did."""

from pathlib import Path

import msgspec

from dolphin_realtime.backtest import days
from dolphin_realtime.backtest.versus_paper import scans_of, versus_paper
from dolphin_realtime.config.settings import Settings
from dolphin_realtime.config.trader_parameters import Parameters
from dolphin_realtime.reports.page import page
from dolphin_realtime.reports.plotly_script import write_page
from dolphin_realtime.reports.tables import table, usd
from dolphin_realtime.reports.versus import Versus
from dolphin_realtime.reports.write import HTML, Report


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
) -> Versus:
    """Trade a paper day again from its opening state with a trial's parameters, and write a page.

    Raises:
        JournalError: If the journal does not know the day's opening.
        ScanFileError: If there is no scan of the day.
    """
    scans = scans_of(settings, day)
    found = versus_paper(settings, instance, day, scans, parameters, out)
    changed = sum(found.by_cause.values()) + found.unexplained
    rows = [
        ("net of the trial", usd(found.net_backtest)),
        ("net of what was traded", usd(found.net_paper)),
        ("scans", f"{found.scans:,}"),
        ("decisions that are the same", f"{found.same:,}"),
        ("that are others", f"{changed:,}"),
    ]
    title = f"Trial of {instance}, {day}"
    subtitle = "Simulated, from the day's opening state. Money is USDT; net is after all costs."
    write_page(out / HTML, page(title, subtitle, [note], table("Net", rows)))
    return found
