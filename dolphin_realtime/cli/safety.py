"""`dolphin posture`, `flatten`, `resume`: show and change what the traders may do."""

import getpass
import sys

import click

from dolphin_realtime.cli.app import say
from dolphin_realtime.cli.inspect import fetch
from dolphin_realtime.cli.not_trading import TRADING_POSTURES
from dolphin_realtime.cli.posture_view import flattens, instances_apart
from dolphin_realtime.cli.running import load_here
from dolphin_realtime.grid import maps, wire
from dolphin_realtime.infra.local_socket import ask
from dolphin_realtime.model.documents import StateDocument, UnpricedPosition
from dolphin_realtime.model.errors import SafetyRefused
from dolphin_realtime.model.instant import span
from dolphin_realtime.model.risk.posture import Posture
from dolphin_realtime.services.safety.commands import SOCKET

_REASON = click.option("--reason", required=True, help="Kept in the ledger with who and when.")
_INSTANCE = click.option("--instance", default="", help="One trader; default: every one.")


@click.group(invoke_without_command=True)
@click.pass_context
def posture(ctx: click.Context) -> None:
    """What the traders may do, since when and why; set it, or resume.

    \b
    Examples: dolphin posture
              dolphin posture set HALTED --reason "venue maintenance"
              dolphin posture resume --reason "maintenance is over"
    """
    if ctx.invoked_subcommand is None:
        ctx.invoke(show)


@posture.command("show")
@click.option("--json", "as_json", is_flag=True, help="The document of the grid, one line.")
def show(as_json: bool = False) -> None:
    """Print posture, since when and every reason. Exit status 1 unless entries are allowed."""
    text = fetch(maps.SAFETY, maps.LATEST)
    document = wire.decode(text)
    if document is None:
        click.echo("dolphin: no posture in the grid; is safety up? (dolphin status)", err=True)
        sys.exit(1)
    if as_json:
        click.echo(text)
    else:
        say(f"{document['posture']} since {document['since']}, size x{document['size_multiplier']}")
        for name, one in instances_apart(document).items():
            say(f"  {name}: {one['posture']} since {one['since']}")
        for reason in document["reasons"]:
            say(f"  {reason}")
        for line in flattens(document):
            say(f"  {line}")
    sys.exit(0 if document["posture"] in TRADING_POSTURES else 1)


def _order(**fields: str) -> str:
    """Send an operator command to the safety service; say what it notes, return the posture."""
    settings = load_here()
    answer = ask(settings.run_dir / SOCKET, {**fields, "who": getpass.getuser()})
    if not answer.get("ok"):
        raise SafetyRefused(str(answer.get("error")))
    if answer.get("note"):
        say(str(answer["note"]), fg="yellow")
    return str(answer["posture"])


@posture.command("set")
@click.argument("level", type=click.Choice(list(Posture), case_sensitive=False))
@_REASON
@_INSTANCE
def set_level(level: str, reason: str, instance: str) -> None:
    """Command a posture: NORMAL, REDUCED, CLOSE_ONLY or HALTED. Only resume leaves HALTED."""
    floor = _order(action="set", level=level, reason=reason, instance=instance)
    say(f"ordered: {floor}; dolphin posture shows the current one")


@click.command()
@_REASON
@_INSTANCE
def resume(reason: str, instance: str) -> None:
    """Withdraw a commanded posture; it then rises step by step. The only way out of HALTED.

    Accepts the losses so far: drawdowns are measured from the current equity.
    """
    _order(action="resume", reason=reason, instance=instance)
    say("resumed; the posture rises one step after each cool-down, see dolphin posture")


@click.command()
@_REASON
@_INSTANCE
def flatten(reason: str, instance: str) -> None:
    """Close every position of every trader now, and open nothing until `dolphin resume`.

    \b
    Examples: dolphin flatten --reason "leaving for the weekend"
              dolphin flatten --instance GREEN --reason "its parameters are wrong"
    """
    _order(action="flatten", reason=reason, instance=instance)
    say("ordered: positions are closed at the next quotes; dolphin status shows what is left")
    for name, one in _without_price(instance):
        say(
            f"{name}: {one.asset} cannot be closed before it has a sound price again "
            f"({one.reason} for {span(one.age_s)}); see dolphin position",
            fg="yellow",
        )


def _without_price(instance: str) -> list[tuple[str, UnpricedPosition]]:
    """Return held assets without a sound price, as the states of one or all instances name them."""
    settings = load_here()
    found = []
    for name in [instance] if instance else settings.instance_names:
        state = wire.read(fetch(maps.state_map(name), maps.LATEST_STATE), StateDocument)
        found += [(name, one) for one in (state.unpriced if state else [])]
    return found


posture.add_command(resume)
