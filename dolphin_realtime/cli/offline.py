"""`dolphin signals` and `dolphin replay`: commands that need no stack."""

import signal as signals_of_os
import threading
from pathlib import Path

import click

from dolphin_realtime.cli.app import say
from dolphin_realtime.model.errors import SettingsError
from dolphin_realtime.model.signal.params import SignalParams, with_settings


@click.command()
@click.argument("scans", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="Parquet file to write.",
)
@click.option(
    "--set",
    "assignments",
    multiple=True,
    metavar="NAME=VALUE",
    help="Change a parameter of the signal.",
)
@click.option(
    "--book", type=click.Path(exists=True, path_type=Path), help="Order-book documents, JSON lines."
)
@click.option(
    "--factors", type=click.Path(exists=True, path_type=Path), help="Factor documents, JSON lines."
)
def signals(
    scans: Path, out: Path, assignments: tuple[str, ...], book: Path | None, factors: Path | None
) -> None:
    """Turn scans (folder of scan files, Arrow file or archive) into signals, offline.

    \b
    Example: dolphin signals var/scans --out signals.parquet --set gap_max_s=900
    """
    from dolphin_realtime.backtest.signals import write_signals
    from dolphin_realtime.scans.coverage import line_of

    params = with_settings(SignalParams(), assignments)
    result = write_signals(scans, out, params, book, factors)
    say(line_of(result.days), err=True)
    say(
        f"{result.scans} scans, {result.rows} rows in {out}; {result.refused} refused, {result.duplicates} duplicates"
    )


@click.command()
@click.argument("prices", required=False, type=click.Path(exists=True, path_type=Path))
@click.option(
    "--prices",
    "prices_option",
    type=click.Path(exists=True, path_type=Path),
    help="The same as PRICES.",
)
@click.option(
    "--scan-dir",
    required=True,
    type=click.Path(path_type=Path),
    help="Where scan files are written.",
)
@click.option("--speed", default=1.0, show_default=True, help="Market seconds per wall second.")
@click.option(
    "--cadence", "cadence_s", default=60.0, show_default=True, help="Market seconds between scans."
)
@click.option("--window", default=240, show_default=True, help="Returns in the correlation matrix.")
@click.option(
    "--seed", default=1, show_default=True, help="Seed of the Brownian bridge between prices."
)
@click.option("--scans", "n_scans", type=click.IntRange(min=1), help="Stop after this many scans.")
def replay(
    prices: Path | None,
    prices_option: Path | None,
    scan_dir: Path,
    speed: float,
    cadence_s: float,
    window: int,
    seed: int,
    n_scans: int | None,
) -> None:
    """Stand in for NG6: write PRICES (a wide parquet; default the sample) as scan files.

    \b
    Example: dolphin replay --scan-dir /tmp/scans --speed 120 --scans 100
    """
    from dolphin_realtime.replay import service as replaying
    from dolphin_realtime.replay.pace import Pacer, write_scans

    source = prices or prices_option
    settings = replaying.ReplaySettings(
        prices=str(source or ""), cadence_s=cadence_s, speed=speed, window=window, seed=seed
    )
    market = replaying.make_market(settings)
    if scan_dir.exists() and not scan_dir.is_dir():
        raise SettingsError(f"{scan_dir} is not a folder")
    place = scan_dir / ".replay.json"
    place.unlink(missing_ok=True)
    pacer = Pacer(market, scan_dir, place, 0)
    note = market.note(0)
    say(f"simulated: {note}" if note else "recorded prices as they are")
    stopping, written = threading.Event(), 0
    signals_of_os.signal(signals_of_os.SIGTERM, lambda *_: stopping.set())

    def is_stopping(wait_s: float) -> bool:
        nonlocal written
        if stopping.wait(wait_s) or written == n_scans:
            return True
        written += 1
        return False

    write_scans(pacer, cadence_s / speed, is_stopping)
    say(f"{written} scans written to {scan_dir}")
