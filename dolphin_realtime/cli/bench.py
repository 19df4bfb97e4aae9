"""`dolphin bench`: measurements of the product itself."""

import sys
from pathlib import Path
from typing import Any

import click
import msgspec

from dolphin_realtime.cli.app import say


@click.group()
def bench() -> None:
    """Measure Dolphin's performance on this machine."""


@bench.command("latency")
@click.option("--scans", default=500, show_default=True, help="Scans to replay after the first 30.")
@click.option("--assets", default=50, show_default=True, help="Assets a scan.")
@click.option("--rehearse", is_flag=True, help="With DOLPHIN_REHEARSAL=on.")
@click.option("--svg", type=click.Path(path_type=Path), help="Draw the histograms into this file.")
@click.option("--json", "as_json", is_flag=True, help="One line of JSON.")
def latency(scans: int, assets: int, rehearse: bool, svg: Path | None, as_json: bool) -> None:
    """Latency from a scan file's appearance to the orders of its scan.

    Beside it stand the bare parts: a put and its listener alone, and NautilusTrader alone.

    \b
    Example: dolphin bench latency --assets 50 --json
    """
    from dolphin_realtime.bench.latency import measure

    if not as_json:
        say(f"{scans} scans of {assets} assets through a stack of its own; this takes minutes")
    result = measure(assets, scans, svg, is_rehearsed=rehearse)
    if as_json:
        click.echo(msgspec.json.encode(result).decode())
    else:
        _print(result)


@bench.command("signal")
@click.option("--scans", default=1000, show_default=True, help="Scans after the warm-up.")
@click.option("--json", "as_json", is_flag=True, help="One line of JSON.")
def signal(scans: int, as_json: bool) -> None:
    """Scans a second of compute_signal alone at 16, 50, 160 and 400 assets.

    \b
    Example: dolphin bench signal
    """
    from dolphin_realtime.bench.signal import measure

    result = measure(scans)
    if as_json:
        click.echo(msgspec.json.encode(result).decode())
        return
    say(f"  {'assets':>7} {'scans/s':>9} {'us/scan':>9}")
    for row in result["rows"]:
        say(
            f"  {row['assets']:7} {row['scans_per_s']:9,} {row['us_per_scan']:9,.1f}   {row['prices']}"
        )
    say(
        f"{result['assets_growth']:.0f} times the assets take {result['time_growth']} times as long"
    )


@bench.command("soak")
@click.option("--orders", default=60_000, show_default=True, help="Orders to send.")
@click.option("--assets", default=400, show_default=True, help="Assets a scan.")
@click.option("--rate", default=100.0, show_default=True, help="Orders a second.")
@click.option("--json", "as_json", is_flag=True, help="One line of JSON.")
def soak(orders: int, assets: int, rate: float, as_json: bool) -> None:
    """Memory, threads and time per order over a long run, and a restart from its journal.

    \b
    Example: dolphin bench soak --orders 6000
    """
    from dolphin_realtime.bench.soak import measure

    if not as_json:
        say(f"{orders} orders at {rate:.0f} a second: about {orders / rate / 60:.0f} minutes")
    result = measure(assets, orders, rate)
    if as_json:
        click.echo(msgspec.json.encode(result).decode())
        return
    say(
        f"{result['orders']} orders, {result['fills']} fills, {result['scans']} scans; {result['prices']}"
    )
    say(f"threads at most {result['threads_max']}; resident MB along the run {result['rss_mb']}")
    for name in ("us_per_order", "finish_us_per_fill"):
        first, last = result[name]["first_5000"], result[name]["last_5000"]
        say(
            f"{name}: first p50 {first['p50']} p99 {first['p99']}, last p50 {last['p50']} p99 {last['p99']}"
        )
    say(f"restart from the journal: {result['restart_s']} s")


@bench.command("backtest")
@click.option(
    "--cadence", "cadence_s", default=10.0, show_default=True, help="Seconds between scans."
)
@click.option("--assets", "assets", multiple=True, type=int, default=(16, 160, 400),
              show_default=True, help="Assets a scan; may be given more than once.")  # fmt: skip
@click.option("--days", "days", multiple=True, type=int,
              help="Instead of --assets: this many days of --prices; may be repeated.")  # fmt: skip
@click.option("--prices", type=click.Path(exists=True, path_type=Path),
              help="With --days: a wide parquet of prices.  [default: the sample]")  # fmt: skip
@click.option("--set", "assignments", multiple=True, metavar="NAME=VALUE",
              help="Change a parameter, e.g. for more orders.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="One line of JSON.")
def backtest(
    cadence_s: float,
    assets: tuple[int, ...],
    days: tuple[int, ...],
    prices: Path | None,
    assignments: tuple[str, ...],
    as_json: bool,
) -> None:
    """Scans per second of a backtest, its memory, and how its time is spent.

    \b
    Examples: dolphin bench backtest
              dolphin bench backtest --days 5 --days 25 --prices prices.parquet
    """
    from dolphin_realtime.bench.backtest import measure_day, measure_days

    rows = (
        measure_days(prices, days, assignments)
        if days
        else measure_day(assets, cadence_s, assignments)
    )
    if as_json:
        click.echo(msgspec.json.encode(rows).decode())
        return
    say(
        f"{'assets':>7} {'scans':>8} {'fills':>8} {'s':>7} {'scans/s':>8} {'ours s':>7} {'Nautilus s':>11} {'MB':>5}"
    )
    for row in rows:
        say(
            f"{row['assets']:7} {row['scans']:8,} {row['fills']:8,} {row['seconds']:7} "
            f"{row['scans_per_s']:8,} {row['ours_s']:7} {row['nautilus_s']:11} {row['rss_mb']:5}"
        )
        say(f"        parts {row['parts_s']}; a fill in Nautilus {row['us_a_fill_in_nautilus']}")


@bench.command("archive")
@click.option("--days", default=10, show_default=True, help="Days to generate.")
@click.option("--scans", default=10_960, show_default=True, help="Scans a day.")
@click.option("--assets", default=400, show_default=True, help="Assets a scan.")
@click.option("--json", "as_json", is_flag=True, help="One line of JSON.")
def archive(days: int, scans: int, assets: int, as_json: bool) -> None:
    """Time and size of a day of the scan archive; a year by extrapolation.

    \b
    Example: dolphin bench archive --days 2
    """
    from dolphin_realtime.bench.archive import measure

    result = measure(days, scans, assets)
    if as_json:
        click.echo(msgspec.json.encode(result).decode())
        return
    for name, value in result.items():
        say(f"  {name:24} {value}")


@bench.command("runs")
@click.option("--rounds", default=5, show_default=True, help="How often each indicator is asked.")
@click.option("--json", "as_json", is_flag=True, help="One line of JSON.")
def runs(rounds: int, as_json: bool) -> None:
    """Run every indicator at once, several times: does the queue's limit hold?

    Starts a demo of its own. Exit status 1 where it does not hold.

    
    Example: dolphin bench runs --rounds 1
    """
    from dolphin_realtime.bench.runs import bench_runs

    report = bench_runs(rounds, None if as_json else _progress)
    if as_json:
        click.echo(msgspec.json.encode(report).decode())
    else:
        click.echo("", err=True)
        for name, value in msgspec.to_builtins(report).items():
            say(f"  {name:16} {value}")
    sys.exit(0 if report.is_good else 1)


@bench.command("recovery")
@click.option("--watch", default=120.0, show_default=True, help="Seconds to watch meta health.")
@click.option("--json", "as_json", is_flag=True, help="One line of JSON.")
def recovery(watch: float, as_json: bool) -> None:
    """What meta health costs, and how long each service takes from a kill to its recovery.

    Starts a demo of its own, kills every service once and hangs the Hazelcast member once.

    \b
    Example: dolphin bench recovery --watch 600
    """
    from dolphin_realtime.bench.recovery import bench_recovery

    report = bench_recovery(watch, lambda text: click.echo(text, err=True))
    if as_json:
        click.echo(msgspec.json.encode(report).decode())
        return
    for name, value in msgspec.to_builtins(report).items():
        say(f"  {name:12} {value}")


@bench.command("idle")
@click.option("--for", "for_s", default=600.0, show_default=True, help="Seconds to watch.")
@click.option("--demo", is_flag=True, help="With the replay's scans and sources; else without any.")
@click.option("--json", "as_json", is_flag=True, help="One line of JSON.")
def idle(for_s: float, demo: bool, as_json: bool) -> None:
    """What a whole stack costs while nothing happens: processor, memory, processes, disk a day.

    Starts a stack of its own.

    \b
    Example: dolphin bench idle --for 600
    """
    from dolphin_realtime.bench.idle import bench_idle

    report = bench_idle(for_s, is_demo=demo, say=lambda text: click.echo(text, err=True))
    if as_json:
        click.echo(msgspec.json.encode(report).decode())
        return
    for name, cost in {**report.services, "all": report.total}.items():
        figures = f"{cost.cpu_percent:6.2f} %  {cost.rss_mb:7.0f} MB  {cost.processes:3} processes"
        say(f"  {name:20} {figures}")
    say(f"  Dagster's events a day: {report.dagster_events_a_day:,.0f}")
    for name, size in report.mb_a_day.items():
        say(f"  {name + '/':20} {size:8.1f} MB a day")


@bench.command("size")
@click.option("--assets", default=2000, show_default=True, help="Assets a scan.")
@click.option("--instances", default=1, show_default=True, help="Traders.")
@click.option("--scans", default=360, show_default=True, help="Scans to trade.")
@click.option("--interval", default=5.0, show_default=True, help="Seconds between two scans.")
@click.option("--kills", default=2, show_default=True, help="How often the member is killed.")
@click.option("--json", "as_json", is_flag=True, help="One line of JSON.")
def size(
    assets: int, instances: int, scans: int, interval: float, kills: int, as_json: bool
) -> None:
    """Many assets or many traders, a member killed meanwhile: memory, latency, what was lost.

    Exit status 1 if a scan was lost.

    \b
    Examples: dolphin bench size --assets 2000
              dolphin bench size --assets 50 --instances 10 --interval 1
    """
    from dolphin_realtime.bench.size import bench_size

    if not as_json:
        say(
            f"{scans} scans of {assets} assets, {instances} traders: {scans * interval / 60:.0f} minutes"
        )
    report = bench_size(assets, instances, scans, interval, kills)
    if as_json:
        click.echo(msgspec.json.encode(report).decode())
    else:
        for name, value in msgspec.to_builtins(report).items():
            say(f"  {name:18} {value}")
    sys.exit(1 if any(report.lost.values()) else 0)


def _progress(text: str) -> None:
    click.echo(f"\r{text}   ", nl=False, err=True)


def _print(result: dict[str, Any]) -> None:
    say(f"{result['scans']} scans with orders, {result['orders_per_scan']} orders each")
    say(f"{result['prices']}; microseconds")
    say(f"  {'stage':26} {'p50':>9} {'p90':>9} {'p99':>9} {'max':>9}")
    for name, found in result["stages_us"].items():
        cells = " ".join(f"{found[k]:9.0f}" for k in ("p50", "p90", "p99", "max"))
        say(f"  {name:26} {cells}")
    bare = {"bare grid, put to callback": result["bare_grid_us"]}
    bare |= {f"bare Nautilus, {name}": one for name, one in result["bare_nautilus_us"].items()}
    for name, found in bare.items():
        cells = " ".join(f"{found[k]:9.0f}" for k in ("p50", "p90", "p99", "max"))
        say(f"  {name:26} {cells}")
