"""`dolphin health` and `dolphin scan`: documents of the grid, for people and for scripts."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from dolphin_realtime.cli.app import MALFORMED, say
from dolphin_realtime.cli.recovery import history
from dolphin_realtime.cli.running import ask_grid, load_here, load_running
from dolphin_realtime.grid import maps, wire
from dolphin_realtime.model.errors import GridError, ServiceError
from dolphin_realtime.model.freshness import SHOWN_DOCUMENT_S
from dolphin_realtime.services.meta_health.files import document_path, maintenance, maintenance_path

EXIT_OF_STATUS: Final = {"GREEN": 0, "DEGRADED": 1, "CRITICAL": 2, "DEAD": 3}
EXIT_UNKNOWN: Final = 4
SENSOR_NAMES: Final = {
    "m1_proc": "M1 process integrity",
    "m2_heartbeat": "M2 heartbeat freshness",
    "m3_data_freshness": "M3 data freshness",
    "m4_control_plane": "M4 control plane",
    "m5_coherence": "M5 data coherence",
}


def fetch(map_name: str, key: str) -> str | None:
    """Return a document of the grid as it is on the wire, None where absent.

    Raises:
        GridError: If the grid cannot be reached.
    """
    value = ask_grid(load_running(), lambda client: client.get_map(map_name).blocking().get(key))
    return value if isinstance(value, str) else None


def _from_disk() -> str | None:
    """Return the document that meta health wrote to disk, None where there is none."""
    path = document_path(load_here())
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError):
        return None


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="The document of the grid, one line.")
@click.pass_context
def health(context: click.Context, as_json: bool) -> None:
    """Five health sensors, their product, the health status, and each subsystem.

    Exit status: 0 GREEN, 1 DEGRADED, 2 CRITICAL, 3 DEAD, 4 unknown.

    \b
    Examples: dolphin health
              dolphin health history       what was repaired, and what changed
    """
    if context.invoked_subcommand is None:
        _show_health(as_json=as_json)


health.add_command(history)


def _show_health(*, as_json: bool) -> None:
    try:
        text = fetch(maps.META_HEALTH, maps.LATEST)
    except (GridError, ServiceError) as e:
        click.echo(f"dolphin: {e}; this is what meta health last wrote to disk", err=True)
        text = _from_disk()
    document = wire.decode(text)
    age_s = wire.age_s(document.get("timestamp"), datetime.now(UTC)) if document else None
    if document is None or age_s is None or abs(age_s) > SHOWN_DOCUMENT_S:
        click.echo(
            "dolphin: health is unknown: no fresh document; dolphin status shows meta-health",
            err=True,
        )
        sys.exit(EXIT_UNKNOWN)
    if as_json:
        click.echo(text)
    else:
        try:
            _print_health(document, age_s)
        except MALFORMED as e:
            click.echo(f"dolphin: the health document is not as it should be: {e!r}", err=True)
            sys.exit(EXIT_UNKNOWN)
    sys.exit(EXIT_OF_STATUS.get(str(document["status"]), EXIT_UNKNOWN))


def _print_health(document: dict[str, Any], age_s: float) -> None:
    say(f"{document['status']}  rm_meta {document['rm_meta']:.3f}, {age_s:.1f} s old", bold=True)
    barred = maintenance(maintenance_path(load_here()), datetime.now(UTC))
    if barred:
        say(f"  nothing is repaired: {barred}", fg="yellow")
    for key, name in SENSOR_NAMES.items():
        say(f"  {name:24} {document[key]:.2f}")
    for group, members in document["subsystem_health"].items():
        for name, facts in members.items():
            shown = ", ".join(f"{k} {_short(v)}" for k, v in facts.items())
            say(f"  {group:14} {name:18} {shown}")


def _short(value: object) -> str:
    return f"{value:.1f}" if isinstance(value, float) else str(value)


@click.group()
def scan() -> None:
    """The newest scan; judging scan files.

    \b
    Examples: dolphin scan show
              dolphin scan check /mnt/ng6
    """


@scan.command("check")
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One line of JSON.")
def check(path: Path, as_json: bool) -> None:
    """Judge scan files (a file, or all of a folder) by docs/scan-format.md.

    Exit status 1 if a reader would refuse one.

    \b
    Example: dolphin scan check var/scans
    """
    from dolphin_realtime.scans.judge import judge_files

    found = judge_files(path)
    if as_json:
        click.echo(msgspec.json.encode(found).decode())
    else:
        for sentence in found.wrong:
            say(f"wrong: {sentence}", fg="red")
        for sentence in found.warnings:
            say(f"warning: {sentence}", fg="yellow")
        cadence = "" if found.cadence_s is None else (
            f", one every {found.cadence_s:g} s, the longest time between two {found.longest_gap_s:g} s, "
            f"{found.gaps} over three cadences"
        )  # fmt: skip
        say(f"{found.files} files, {found.scans} scans{cadence}; {len(found.wrong)} wrong")
    sys.exit(1 if found.wrong else 0)


@scan.command("show")
@click.option("--json", "as_json", is_flag=True, help="The document of the grid, one line.")
def show(as_json: bool) -> None:
    """Print the newest scan's number, age, prices and eigenvalues.

    \b
    Example: dolphin scan show --json | jq .scan_number
    """
    text = fetch(maps.FEATURES, maps.LATEST_SCAN)
    document = wire.decode(text)
    if document is None:
        click.echo("dolphin: no scan in the grid; is the bridge up, and do scans arrive?", err=True)
        sys.exit(1)
    if as_json:
        click.echo(text)
        return
    age_s = wire.age_s(document["bridge_ts"], datetime.now(UTC))
    say(f"scan {document['scan_number']} of epoch {document['epoch']}, seq {document['seq']}")
    say(f"market time {document['timestamp']}, bridged {age_s or 0.0:.1f} s ago")
    if document.get("simulated"):
        say(f"SIMULATED {document['simulated']}")
    for asset, price in document["asset_prices"].items():
        say(f"  {asset:12} {price if price is not None else 'no price'}")
    values = ", ".join("null" if v is None else f"{v:.4f}" for v in document["eigenvalues"][:8])
    say(f"  eigenvalues  {values}{' …' if len(document['eigenvalues']) > 8 else ''}")
