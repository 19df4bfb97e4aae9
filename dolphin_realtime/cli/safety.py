"""`dolphin posture`: see the posture, set it, and resume."""

import getpass
import sys

import click

from dolphin_realtime import grid
from dolphin_realtime.cli.app import say
from dolphin_realtime.cli.inspect import fetch
from dolphin_realtime.cli.overview import TRADING_POSTURES
from dolphin_realtime.local_socket import ask
from dolphin_realtime.model.errors import ServiceError
from dolphin_realtime.safety.orders import SOCKET
from dolphin_realtime.settings import load


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
    text = fetch(grid.SAFETY, grid.LATEST)
    document = grid.decode(text)
    if document is None:
        click.echo("dolphin: no posture in the grid; is safety up? (dolphin status)", err=True)
        sys.exit(1)
    if as_json:
        click.echo(text)
    else:
        say(f"{document['posture']} since {document['since']}, size x{document['size_multiplier']}")
        for reason in document["reasons"]:
            say(f"  {reason}")
    sys.exit(0 if document["posture"] in TRADING_POSTURES else 1)


def _order(**fields: str) -> None:
    settings = load()
    answer = ask(settings.run_dir / SOCKET, {**fields, "who": getpass.getuser()})
    if not answer.get("ok"):
        raise ServiceError(str(answer.get("error")))
    say(f"ordered: {answer['posture']}; dolphin posture shows where it stands")


@posture.command("set")
@click.argument("level")
@click.option("--reason", required=True, help="Kept in the ledger with who and when.")
def set_level(level: str, reason: str) -> None:
    """Order a posture: NORMAL, REDUCED, CLOSE_ONLY or HALTED. HALTED is left by resume only."""
    _order(action="set", level=level, reason=reason)


@click.command()
@click.option("--reason", required=True, help="Kept in the ledger with who and when.")
def resume(reason: str) -> None:
    """Take back a posture ordered by hand; it then rises step by step. The only way out of HALTED."""
    _order(action="resume", reason=reason)


posture.add_command(resume)
