"""Events of the user stream, as Binance USD-M writes them. Pure."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from dolphin_realtime.replay.exchange.account import ZERO, Account, Trade
from dolphin_realtime.replay.exchange.answers import maintenance, text
from dolphin_realtime.replay.exchange.orders import Order
from dolphin_realtime.replay.exchange.symbols import QUOTE, Symbol


def order_update(order: Order, execution: str, at_ms: int, trade: Trade | None) -> dict[str, Any]:
    """Return `ORDER_TRADE_UPDATE`.

    Args:
        order: The order after what happened.
        execution: NEW, TRADE, CANCELED, EXPIRED, CALCULATED.
        at_ms: When.
        trade: The trade, for an execution of TRADE or CALCULATED.
    """
    body = {
        "s": order.symbol,
        "c": order.client_id,
        "S": "BUY" if order.is_buy else "SELL",
        "o": order.kind,
        "f": order.time_in_force,
        "q": text(order.quantity),
        "p": text(order.price or ZERO),
        "ap": text(order.average),
        "sp": "0",
        "x": execution,
        "X": order.status,
        "i": order.id,
        "l": text(trade.quantity if trade else ZERO),
        "z": text(order.filled),
        "L": text(trade.price if trade else ZERO),
        "T": at_ms,
        "t": trade.id if trade else 0,
        "b": "0",
        "a": "0",
        "m": False,
        "R": order.reduces,
        "wt": "CONTRACT_PRICE",
        "ot": order.kind,
        "ps": "BOTH",
        "cp": False,
        "rp": text(trade.realised if trade else ZERO),
        "pP": False,
        "si": 0,
        "ss": 0,
        "V": "EXPIRE_MAKER",
        "pm": "NONE",
        "gtd": 0,
    }
    if trade:
        body |= {"n": text(trade.fee), "N": trade.fee_asset}
    return {"e": "ORDER_TRADE_UPDATE", "E": at_ms, "T": at_ms, "o": body}


def account_update(
    account: Account, reason: str, at_ms: int, symbol: str = "", changes: Mapping[str, Decimal] = {}
) -> dict[str, Any]:
    """Return `ACCOUNT_UPDATE`: wallets, and the position of a symbol.

    Args:
        account: After what happened.
        reason: ORDER, FUNDING_FEE, DEPOSIT, WITHDRAW, INSURANCE_CLEAR…
        at_ms: When.
        symbol: Whose position is told; none if empty.
        changes: Change of each wallet that no trade made.
    """
    position = account.position(symbol) if symbol else None
    return {
        "e": "ACCOUNT_UPDATE",
        "E": at_ms,
        "T": at_ms,
        "a": {
            "m": reason,
            "B": [
                {"a": asset, "wb": text(amount), "cw": text(amount),
                 "bc": text(changes.get(asset, ZERO))}
                for asset, amount in account.wallets.items()
            ],
            "P": [] if position is None else [
                {"s": symbol, "pa": text(position.quantity), "ep": text(position.entry),
                 "bep": text(position.entry), "cr": "0", "up": "0", "mt": "cross", "iw": "0",
                 "ps": "BOTH"}
            ],
        },
    }  # fmt: skip


def config_update(at_ms: int, fields: dict[str, Any]) -> dict[str, Any]:
    """Return `ACCOUNT_CONFIG_UPDATE`: a changed leverage (ac) or multi-assets mode (ai)."""
    return {"e": "ACCOUNT_CONFIG_UPDATE", "E": at_ms, "T": at_ms, **fields}


def margin_call(
    account: Account, symbols: Mapping[str, Symbol], marks: Mapping[str, Decimal], at_ms: int
) -> dict[str, Any]:
    """Return `MARGIN_CALL` with every open position."""
    return {
        "e": "MARGIN_CALL",
        "E": at_ms,
        "cw": text(account.wallets.get(QUOTE, ZERO)),
        "p": [
            {"s": name, "ps": "BOTH", "pa": text(quantity), "mt": "CROSSED", "iw": "0",
             "mp": text(marks.get(name, ZERO)),
             "up": text(account.position(name).unrealised(marks.get(name, ZERO))),
             "mm": text(maintenance(account, symbols, marks))}
            for name, quantity in account.held().items()
        ],
    }  # fmt: skip


def key_expired(listen_key: str, at_ms: int) -> dict[str, Any]:
    """Return `listenKeyExpired`."""
    return {"e": "listenKeyExpired", "E": at_ms, "listenKey": listen_key}
