"""Running a sweep: which trials remain, where they run, what is written at the end.

The order of steps belongs here. Results depend on the trials alone, not on where or in which order
they run.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from dolphin_realtime.config.settings import Settings
from dolphin_realtime.config.trader_parameters import load_parameters
from dolphin_realtime.infra import files
from dolphin_realtime.model.errors import ScanFileError
from dolphin_realtime.reports.plotly_script import write_page
from dolphin_realtime.reports.write import HTML
from dolphin_realtime.scans.coverage import DayCoverage
from dolphin_realtime.scans.days import ScanDays, files_identity
from dolphin_realtime.sweep.grid_file import SweepFile, name_of, sets_of, words_of
from dolphin_realtime.sweep.local import run_local, workers_by_default
from dolphin_realtime.sweep.page import render
from dolphin_realtime.sweep.ray_cluster import run_on_ray
from dolphin_realtime.sweep.record import TrialRecord
from dolphin_realtime.sweep.trial import Trial, TrialResult, keyed
from dolphin_realtime.sweep.verdict import SetFigures, Verdict, figures_of_sets, judge, mean_seconds

WHOLE_SHARE: Final = 0.9
"""A day with fewer scans than this share of the fullest day's is reported as short."""
OnTrial = Callable[[TrialResult], None]


class Sweep(msgspec.Struct, kw_only=True):
    """The result of a sweep.

    Attributes:
        ran: Trials run now; the others were on record.
        failed: Trials without a result.
        coverage: The coverage of each day.
    """

    days: list[str]
    sets: list[SetFigures]
    verdict: Verdict
    ran: int
    failed: int
    where: str
    seconds_a_trial: float
    folder: str
    coverage: list[DayCoverage] = []


class SweepPlan(msgspec.Struct, frozen=True):
    """What a sweep will try.

    Attributes:
        trials: Every set on every day.
        short_days: A sentence on each day that has far fewer scans than the fullest one.
    """

    days: list[str]
    trials: list[Trial]
    short_days: list[str]


def plan_of(file: SweepFile, settings: Settings) -> SweepPlan:
    """Return the trials of a sweep file, for the scans and factors now on disk.

    Raises:
        ScanFileError: If there are no scans of those days.
    """
    path = Path(file.scans).absolute() if file.scans else settings.archive
    scans = ScanDays.of(path)
    days = scans.between(file.first.isoformat(), file.last.isoformat())
    if not days:
        raise ScanFileError(f"{path}: no scans from {file.first} to {file.last}")
    factors = file.factors or (str(settings.factors) if settings.factors.is_dir() else "")
    of_factors = _factor_identity(factors)
    bases = {name: load_parameters(name) for name in file.bases}
    inputs = {
        day: [[scans.identity(d) for d in (*scans.before(day, file.warm_up_days), day)], of_factors]
        for day in days
    }
    trials = [
        keyed(
            Trial(
                set_name=name_of(one) if len(bases) == 1 else f"{instance}: {name_of(one)}",
                assignments=tuple(words_of(one)),
                day=day,
                scans=str(path),
                warm_up_days=file.warm_up_days,
                factors=factors,
                parameters=parameters,
            ),
            inputs[day],
        )
        for day in days  # a day's sets one after another: they share its warm-up
        for instance, parameters in bases.items()
        for one in sets_of(file)
    ]
    return SweepPlan(days, trials, _short_days(days, scans))


def _factor_identity(factors: str) -> list[list[int | str]]:
    path = Path(factors)
    if not factors:
        return []
    return files_identity(sorted(path.glob("*.parquet")) if path.is_dir() else [path])


def run_sweep(
    plan: SweepPlan,
    settings: Settings,
    out: Path,
    title: str,
    on_trial: OnTrial = lambda _: None,
) -> Sweep:
    """Run the remaining trials of a sweep and write trials.jsonl, sweep.json and report.html.

    Raises:
        SettingsError: If a Ray address is set but Ray is not installed.
        ServiceError: If there is no Ray cluster at the address.
        OSError: If ``out`` cannot be written.
    """
    days, trials = plan.days, plan.trials
    with TrialRecord(out / "trials.jsonl") as record:
        left = [trial for trial in trials if not record.is_done(trial.key)]
        for result in _results(left, settings):
            record.add(result)
            on_trial(result)
        results = [record.results[trial.key] for trial in trials]
    names = list(dict.fromkeys(trial.set_name for trial in trials))
    sets = figures_of_sets(names, days, results)
    verdict = judge(sets, days, results)
    coverage = list({r.day: r.coverage for r in results if r.coverage is not None}.values())
    said = [day.words for day in coverage if not day.is_whole]
    verdict.warning = " ".join([verdict.warning, *plan.short_days, *said])
    sweep = Sweep(
        days=days,
        sets=sets,
        verdict=verdict,
        ran=len(left),
        failed=sum(1 for r in results if r.failure is not None),
        where=f"ray {settings.ray_address}" if settings.ray_address else "local processes",
        seconds_a_trial=mean_seconds(results),
        folder=str(out),
        coverage=coverage,
    )
    files.replace(out / "sweep.json", msgspec.json.format(msgspec.json.encode(sweep), indent=2))
    write_page(out / HTML, render(title, days, sets, verdict))
    return sweep


def _short_days(days: list[str], scans: ScanDays) -> list[str]:
    counts = {day: scans.count(day) for day in days}
    most = max(counts.values())
    return [
        f"{day} has only {n:,} scans where the fullest day has {most:,}."
        for day, n in counts.items()
        if n < WHOLE_SHARE * most
    ]


def _results(trials: list[Trial], settings: Settings) -> Iterator[TrialResult]:
    if not trials:
        return iter(())
    if settings.ray_address:
        return run_on_ray(trials, settings.ray_address, settings.sweep_trial_mb)
    workers = settings.sweep_workers or workers_by_default(settings.sweep_trial_mb)
    return run_local(trials, workers)
