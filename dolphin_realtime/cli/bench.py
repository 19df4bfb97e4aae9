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


def _print(result: dict[str, Any]) -> None:
    say(f"{result['scans']} scans with orders, {result['orders_per_scan']} orders each")
    say(f"{result['prices']}; microseconds")
    say(f"  {'stage':26} {'p50':>9} {'p90':>9} {'p99':>9} {'max':>9}")
    for name, found in result["stages_us"].items():
        cells = " ".join(f"{found[k]:9.0f}" for k in ("p50", "p90", "p99", "max"))
        say(f"  {name:26} {cells}")
