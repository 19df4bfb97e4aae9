"""`dolphin position`: operator commands for a position whose price is not sound."""

import getpass
import math
import secrets
from collections.abc import Callable
from typing import Any

import click
import msgspec

from dolphin_realtime.cli.app import say
from dolphin_realtime.cli.running import instance_option, load_here
from dolphin_realtime.infra.local_socket import ask, trader_socket
from dolphin_realtime.model.errors import PositionRefused
from dolphin_realtime.model.portfolio.position_change import Act, PositionChange


@click.group()
def position() -> None:
    """Handle a held asset whose price is not sound: redenominated, at a new level, delisted.

    `dolphin status` lists such assets and since when. Each command is journalled with who, when
    and why; its row is never edited: `dolphin position undo` reverts the last one.

    \b
    Examples: dolphin position redenominate LUNAUSDT --factor 1000 --reason "1 to 1000, notice 123"
              dolphin position accept PEPEUSDT --reason "the level is real, seen at two venues"
              dolphin position settle FTTUSDT --price 0 --reason "delisted, written off"
    """


def _options[F: Callable[..., Any]](command: F) -> F:
    for option in (
        click.argument("asset"),
        click.option("--reason", required=True, help="Kept in the journal with who and when."),
        instance_option("Whose position."),
        click.option("--json", "as_json", is_flag=True, help="One line of JSON."),
    ):
        command = option(command)
    return command


def _order(
    act: Act, asset: str, value: float | None, reason: str, instance: str, *, as_json: bool
) -> None:
    """Send an operator command to a trader and print its result."""
    request = {
        "id": secrets.token_hex(6),
        "act": act.value,
        "asset": asset,
        "value": value,
        "reason": reason,
        "who": getpass.getuser(),
    }
    answer = ask(trader_socket(load_here().run_dir, instance), request)
    if not answer.get("ok"):
        raise PositionRefused(str(answer.get("error")))
    change = msgspec.convert(answer["change"], PositionChange)
    if as_json:
        click.echo(msgspec.json.encode(answer).decode())
        return
    say(
        f"{instance} {asset}: {change.quantity_before:g} units at {change.average_before:g} are now "
        f"{change.quantity:g} at {change.average:g}; {change.realised:,.2f} USDT realised; "
        f"marked at {'nothing' if change.price is None else f'{change.price:g}'}"
    )
    say(f"change {change.id}; dolphin position undo {asset} takes it back")
    if not answer.get("is_written"):
        say("not yet on disk: see `dolphin status` for the journal's trouble", fg="red")


def _finite(_: click.Context, option: click.Parameter, value: float) -> float:
    least = 0.0 if option.name == "price" else math.ulp(0.0)
    if not least <= value < math.inf:
        raise click.BadParameter(f"{value} is not a valid {option.name}")
    return value


@position.command("redenominate")
@_options
@click.option("--factor", required=True, type=float, callback=_finite,
              help="New units per old unit: 1000 if the price fell to a thousandth.")  # fmt: skip
def redenominate(asset: str, reason: str, instance: str, as_json: bool, factor: float) -> None:
    """Multiply the quantity by the factor and divide prices by it; the value does not change."""
    _order(Act.REDENOMINATE, asset, factor, reason, instance, as_json=as_json)


@position.command("accept")
@_options
def accept(asset: str, reason: str, instance: str, as_json: bool) -> None:
    """Accept the doubtful price as real; the position is marked at it from now on."""
    _order(Act.ACCEPT, asset, None, reason, instance, as_json=as_json)


@position.command("settle")
@_options
@click.option("--price", required=True, type=float, callback=_finite,
              help="Settlement price per unit; 0 writes the position off.")  # fmt: skip
def settle(asset: str, reason: str, instance: str, as_json: bool, price: float) -> None:
    """Close the position at a price without an order: delisted, or written off."""
    _order(Act.SETTLE, asset, price, reason, instance, as_json=as_json)


@position.command("undo")
@_options
def undo(asset: str, reason: str, instance: str, as_json: bool) -> None:
    """Undo the last of these commands for an asset; the undo is a journal row of its own."""
    _order(Act.UNDO, asset, None, reason, instance, as_json=as_json)
