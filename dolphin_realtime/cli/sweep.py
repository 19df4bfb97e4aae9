"""`dolphin sweep`: many parameter sets over many days, and how far the best can be trusted."""

import sys
from pathlib import Path

import click
import msgspec

from dolphin_realtime.cli.app import say
from dolphin_realtime.cli.reports import progress
from dolphin_realtime.config.loading import load
from dolphin_realtime.model.errors import SettingsError

SHOWN = 15


@click.command()
@click.argument("grid", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--out", type=click.Path(path_type=Path),
              help="Folder for the results.  [default: reports/sweeps/<name of GRID>]")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="One line of JSON: sets and verdict.")
def sweep(grid: Path, out: Path | None, as_json: bool) -> None:
    """Try every parameter set of GRID on each of its days.

    \b
    Example: dolphin sweep grid.yaml        (docs/sweep.md shows such a file)
    Writes:  trials.jsonl (every trial, also failed ones), sweep.json, report.html
    Runs on local processes (DOLPHIN_SWEEP_WORKERS), or on a Ray cluster if
    DOLPHIN_RAY_ADDRESS is set. An interrupted sweep resumes; trials with a changed version,
    day or parameter run again. Exit status 1 if a trial failed.
    """
    from dolphin_realtime.scans.coverage import line_of
    from dolphin_realtime.sweep.grid_file import read_sweep_file
    from dolphin_realtime.sweep.run import plan_of, run_sweep

    settings = load()
    plan = plan_of(read_sweep_file(grid), settings)
    folder = out or settings.reports / "sweeps" / grid.stem
    try:
        with progress(len(plan.trials), "trials") as advance:
            done = run_sweep(plan, settings, folder, f"Sweep {grid.stem}", lambda _: advance())
    except OSError as e:
        raise SettingsError(f"{folder} cannot be written: {e}") from e
    say(line_of(done.coverage), err=True)
    if as_json:
        click.echo(msgspec.json.encode(done).decode())
    else:
        say(done.verdict.warning, bold=True)
        say(f"{'net':>12} {'fills':>7} {'Sharpe/h':>9}  set")
        for one in done.sets[:SHOWN]:
            failed = f"  FAILED {len(one.failures)} days" if one.failures else ""
            say(f"{one.net:12,.2f} {one.fills:7,} {one.sharpe:9.4f}  {one.name}{failed}")
        if len(done.sets) > SHOWN:
            say(f"… and {len(done.sets) - SHOWN} more in {folder / 'sweep.json'}")
        say(
            f"{done.ran} trials run, {done.failed} failed, on {done.where}; {folder / 'report.html'}"
        )
    sys.exit(1 if done.failed else 0)
