"""The parameter sweep as an asset: one run, with its trials in local processes or on Ray.

The asset and how its verdict is shown belong here; trials and verdict belong in
dolphin_realtime/sweep.
"""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import dagster as dg

from dolphin_dagster import checks
from dolphin_dagster.daily.report_metadata import link
from dolphin_dagster.instance import pools
from dolphin_dagster.instance.jobs import asset_job
from dolphin_dagster.resources import Stack
from dolphin_realtime.reports.plotly_script import place
from dolphin_realtime.sweep.verdict import MIN_DSR, SetFigures, Verdict

NAME: Final = "parameter_sweep"
SHOWN: Final = 25
PBO_LIMIT: Final = 0.5
BEYOND_LUCK: Final = checks.spec(
    NAME,
    "best_is_beyond_luck",
    f"Deflated Sharpe probability of the best set at least {MIN_DSR}, of overfitting below {PBO_LIMIT}.",
)
ALL_RAN: Final = checks.spec(NAME, "every_trial_ran", "No set failed on any day.")


class SweepConfig(dg.Config):
    """Which sweep file to run; empty: DOLPHIN_SWEEP_GRID."""

    grid: str = ""


@dg.asset(
    name=NAME,
    group_name="reports",
    pool=pools.SWEEPS,
    owners=["team:dolphin"],
    kinds={"python", "ray", "plotly"},
    deps=["scan_archive"],
    check_specs=[BEYOND_LUCK, ALL_RAN],
    description=(
        "Many parameter sets over many archived days (`dolphin sweep`): every trial is kept, and "
        "the best set is shown beside what chance would have given. It resumes where it stopped."
    ),
)
def parameter_sweep(
    context: dg.AssetExecutionContext, config: SweepConfig, stack: Stack
) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
    """Run the trials of the sweep that are not done yet."""
    from dolphin_realtime.sweep.grid_file import read_sweep_file
    from dolphin_realtime.sweep.run import plan_of, run_sweep

    now = stack.settings
    name = config.grid or now.sweep_grid
    if not name:
        raise dg.Failure(
            "no sweep file: give `grid` in the run's config, or set DOLPHIN_SWEEP_GRID"
        )
    grid = Path(name)
    place(now.reports)
    plan, count = plan_of(read_sweep_file(grid), now), itertools.count(1)
    done = run_sweep(
        plan, now, now.reports / "sweeps" / grid.stem, f"Sweep {grid.stem}",
        lambda r: context.log.info(
            f"trial {next(count)} of at most {len(plan.trials)}: {r.day} {r.set_name}: "
            f"{r.failure or f'net {r.net:,.2f}'}"
        ),
    )  # fmt: skip
    verdict = done.verdict
    yield dg.MaterializeResult(
        metadata={
            "verdict": dg.MetadataValue.md(verdict.warning),
            "sets": dg.MetadataValue.md(_table(done.sets)),
            "trials_run": done.ran,
            "trials_failed": done.failed,
            "days": len(done.days),
            "ran_on": done.where,
            **link(Path(done.folder) / "report.html", now),
            **_numbers(verdict),
        }
    )
    yield from judge(verdict, done.failed)


def judge(verdict: Verdict, failed: int) -> Iterator[dg.AssetCheckResult]:
    """Yield the results of a sweep's checks."""
    deflated, overfitting = verdict.deflated_sharpe, verdict.overfitting
    is_beyond = deflated is not None and deflated >= MIN_DSR
    is_beyond = is_beyond and overfitting is not None and overfitting < PBO_LIMIT
    facts = {**_numbers(verdict), "why": verdict.warning or "nothing was tried"}
    yield checks.result(NAME, "best_is_beyond_luck", is_beyond, facts)
    yield checks.result(NAME, "every_trial_ran", failed == 0, {"failed": failed})


def _numbers(v: Verdict) -> dict[str, Any]:
    found = {
        "best_net": v.best_net,
        "deflated_sharpe": v.deflated_sharpe,
        "overfitting": v.overfitting,
        "walk_forward_net": v.walk_forward_net,
    }
    return {name: value for name, value in found.items() if value is not None}


def _table(sets: list[SetFigures]) -> str:
    rows = [
        f"| {s.name} | {s.net:,.2f} | {s.fills:,} | {s.sharpe:.4f} | {'; '.join(s.failures) or ''} |"
        for s in sets[:SHOWN]
    ]
    return "\n".join(["| set | net | fills | Sharpe/h | failed |", "|---|---|---|---|---|", *rows])


parameter_sweep_job = asset_job(
    NAME, pools.SWEEPS, 14400, "Try many parameter sets over many days."
)
