"""`dolphin why`: any journalled decision explained, from the scan to its cost."""

import re
from datetime import time
from typing import Final

import click
import msgspec

from dolphin_realtime.cli.running import instance_option, load_here
from dolphin_realtime.infra.day_files import is_day

_TIME: Final = re.compile(r"\d{1,2}:\d{2}(:\d{2}(\.\d{1,6})?)?", re.ASCII)


@click.command()
@click.argument("words", nargs=-1, required=True, metavar="[DAY] TIME ASSET")
@instance_option("Whose decision.")
@click.option("--json", "as_json", is_flag=True, help="One line of JSON.")
@click.option("--html", "as_html", is_flag=True, help="A page, as the UI shows it.")
def why(words: tuple[str, ...], instance: str, as_json: bool, as_html: bool) -> None:
    """Explain the decision on an asset at the scan that was current at a time, UTC.

    Prices and score with their parts, each gate with its input and age, the target before and
    after each cap, posture, each limit with its value and bound, orders, fills, costs; and the
    smallest change of one input that would have turned it. Recomputed from archive and journal, and
    compared with what was journalled. DAY is the journal's newest if left out.

    \b
    Examples: dolphin why 14:03:20 BTCUSDT
              dolphin why 2025-05-13 14:03:20 BTCUSDT --instance GREEN
    Exit status: 1 if the replay differs from the journal.
    """
    from dolphin_realtime.why.ask import explained, last_day
    from dolphin_realtime.why.show import as_page, as_text

    settings = load_here()
    day, at, asset = _parts(words)
    found = explained(settings, instance, day or last_day(settings, instance), at, asset)
    if as_json:
        click.echo(msgspec.json.encode(found).decode())
    else:
        click.echo(as_page(found) if as_html else as_text(found))
    if found.differences and not as_html:
        raise SystemExit(1)


def _parts(words: tuple[str, ...]) -> tuple[str, time, str]:
    """Return day ("" if left out), time and asset."""
    *day, at, asset = ("", "", *words) if len(words) == 1 else words
    if len(words) == 1 or len(day) > 1 or (day and not is_day(day[0])):
        raise click.UsageError("give [DAY] TIME ASSET, e.g. 2025-05-13 14:03:20 BTCUSDT")
    hour, _, rest = at.partition(":")
    is_time = (
        _TIME.fullmatch(at) and int(hour) < 24 and all(part < "60" for part in rest.split(":"))
    )
    if not is_time:
        raise click.UsageError(f"{at!r} is no time of day such as 14:03:20")
    return (day or [""])[0], time.fromisoformat(f"{int(hour):02}:{rest}"), asset
