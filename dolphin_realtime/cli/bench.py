"""`dolphin bench`: measurements of the product itself."""

from typing import Any

import click
import msgspec

from dolphin_realtime.cli.app import say


@click.group()
def bench() -> None:
    """Measure what Dolphin promises, on this machine."""


@bench.command("latency")
@click.option("--scans", default=500, show_default=True, help="Scans to replay after the first 30.")
@click.option("--assets", default=50, show_default=True, help="Assets a scan.")
@click.option("--json", "as_json", is_flag=True, help="One line of JSON.")
def latency(scans: int, assets: int, as_json: bool) -> None:
    """Time from a visible scan file to the orders of its scan.

    \b
    Example: dolphin bench latency --assets 50 --json
    """
    from dolphin_realtime.bench.latency import measure

    if not as_json:
        say(f"{scans} scans of {assets} assets through a stack of its own; this takes minutes")
    result = measure(assets, scans)
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
    """Memory, threads and cost an order over a long run, and a restart from its journal.

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


def _print(result: dict[str, Any]) -> None:
    say(f"{result['scans']} scans with orders, {result['orders_per_scan']} orders each")
    say(f"{result['prices']}; microseconds")
    say(f"  {'stage':26} {'p50':>9} {'p90':>9} {'p99':>9} {'max':>9}")
    for name, found in result["stages_us"].items():
        cells = " ".join(f"{found[k]:9.0f}" for k in ("p50", "p90", "p99", "max"))
        say(f"  {name:26} {cells}")
    for name, found in result["bare_nautilus_us"].items():
        cells = " ".join(f"{found[k]:9.0f}" for k in ("p50", "p90", "p99", "max"))
        say(f"  {'bare Nautilus, ' + name:26} {cells}")
