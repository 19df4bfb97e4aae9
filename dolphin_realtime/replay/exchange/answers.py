"""Answers of the signed and public endpoints, as Binance USD-M writes them. Pure.

The shape of each answer belongs here, numbers as texts where the venue sends texts; which request
gets which is in routes.py, events of the user stream are in events.py.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from dolphin_realtime.replay.exchange.account import ZERO, Account, Income, Trade
from dolphin_realtime.replay.exchange.orders import Order
from dolphin_realtime.replay.exchange.symbols import QUOTE, Symbol

Marks = Mapping[str, Decimal]


def text(value: Decimal) -> str:
    """Return a number as the venue writes it: plain, without an exponent."""
    return format(value, "f")


def order_answer(order: Order) -> dict[str, Any]:
    """Return an order as the answers about orders show it."""
    price = text(order.price or ZERO)
    return {
        "orderId": order.id,
        "symbol": order.symbol,
        "status": order.status,
        "clientOrderId": order.client_id,
        "price": price,
        "avgPrice": text(order.average),
        "origQty": text(order.quantity),
        "executedQty": text(order.filled),
        "cumQty": text(order.filled),
        "cumQuote": text(order.cost),
        "timeInForce": order.time_in_force,
        "type": order.kind,
        "reduceOnly": order.reduces,
        "closePosition": False,
        "side": "BUY" if order.is_buy else "SELL",
        "positionSide": "BOTH",
        "stopPrice": "0",
        "workingType": "CONTRACT_PRICE",
        "priceMatch": "NONE",
        "selfTradePreventionMode": "EXPIRE_MAKER",
        "goodTillDate": 0,
        "priceProtect": False,
        "origType": order.kind,
        "time": order.placed_ms,
        "updateTime": order.updated_ms,
    }


def trade_answer(trade: Trade) -> dict[str, Any]:
    """Return a trade as `userTrades` shows it."""
    return {
        "symbol": trade.symbol,
        "id": trade.id,
        "orderId": trade.order_id,
        "side": "BUY" if trade.is_buy else "SELL",
        "price": text(trade.price),
        "qty": text(trade.quantity),
        "realizedPnl": text(trade.realised),
        "quoteQty": text(trade.price * trade.quantity),
        "commission": text(trade.fee),
        "commissionAsset": trade.fee_asset,
        "time": trade.at_ms,
        "positionSide": "BOTH",
        "buyer": trade.is_buy,
        "maker": False,
    }


def income_answer(row: Income) -> dict[str, Any]:
    """Return a row of `income`."""
    return {
        "symbol": row.symbol,
        "incomeType": row.kind,
        "income": text(row.amount),
        "asset": row.asset,
        "info": row.kind,
        "time": row.at_ms,
        "tranId": row.tran_id,
        "tradeId": row.trade_id,
    }


def positions_v2(account: Account, symbols: Iterable[Symbol], marks: Marks) -> list[dict[str, Any]]:
    """Return `positionRisk` of version 2: every symbol, held or not."""
    return [_position_v2(account, one, marks.get(one.name, ZERO)) for one in symbols]


def _position_v2(account: Account, symbol: Symbol, mark: Decimal) -> dict[str, Any]:
    position = account.position(symbol.name)
    return {
        "symbol": symbol.name,
        "positionAmt": text(position.quantity),
        "entryPrice": text(position.entry),
        "breakEvenPrice": text(position.entry),
        "markPrice": text(mark),
        "unRealizedProfit": text(position.unrealised(mark)),
        "liquidationPrice": "0",
        "leverage": str(account.leverage_of(symbol.name)),
        "maxNotionalValue": "100000000",
        "marginType": "cross",
        "isolatedMargin": "0.00000000",
        "isAutoAddMargin": "false",
        "positionSide": "BOTH",
        "notional": text(position.quantity * mark),
        "isolatedWallet": "0",
        "updateTime": position.updated_ms,
        "isolated": False,
        "adlQuantile": 0,
    }


def positions_v3(
    account: Account, symbols: Mapping[str, Symbol], marks: Marks
) -> list[dict[str, Any]]:
    """Return `positionRisk` of version 3: open positions alone."""
    return [_position_v3(account, symbols[name], marks.get(name, ZERO)) for name in account.held()]


def _position_v3(account: Account, symbol: Symbol, mark: Decimal) -> dict[str, Any]:
    position = account.position(symbol.name)
    notional = position.quantity * mark
    margin = abs(notional) / account.leverage_of(symbol.name)
    return {
        "symbol": symbol.name,
        "positionSide": "BOTH",
        "positionAmt": text(position.quantity),
        "entryPrice": text(position.entry),
        "breakEvenPrice": text(position.entry),
        "markPrice": text(mark),
        "unRealizedProfit": text(position.unrealised(mark)),
        "liquidationPrice": "0",
        "isolatedMargin": "0",
        "notional": text(notional),
        "marginAsset": QUOTE,
        "isolatedWallet": "0",
        "initialMargin": text(margin),
        "maintMargin": text(abs(notional) * symbol.maintenance),
        "positionInitialMargin": text(margin),
        "openOrderInitialMargin": "0",
        "adl": 1,
        "bidNotional": "0",
        "askNotional": "0",
        "updateTime": position.updated_ms,
    }


def account_answer(
    account: Account, symbols: Mapping[str, Symbol], marks: Marks, version: int
) -> dict[str, Any]:
    """Return `account` of version 2 (every symbol) or 3 (open positions alone)."""
    wallet, open_profit = account.wallets.get(QUOTE, ZERO), account.unrealised(marks)
    margin = account.margin(marks)
    totals = {
        "totalInitialMargin": text(margin),
        "totalMaintMargin": text(maintenance(account, symbols, marks)),
        "totalWalletBalance": text(wallet),
        "totalUnrealizedProfit": text(open_profit),
        "totalMarginBalance": text(wallet + open_profit),
        "totalPositionInitialMargin": text(margin),
        "totalOpenOrderInitialMargin": "0",
        "totalCrossWalletBalance": text(wallet),
        "totalCrossUnPnl": text(open_profit),
        "availableBalance": text(max(ZERO, wallet + open_profit - margin)),
        "maxWithdrawAmount": text(max(ZERO, wallet - margin)),
    }
    names = symbols if version == 2 else account.held()
    body = {
        **totals,
        "assets": [_asset(account, asset, marks) for asset in account.wallets],
        "positions": [_account_position(account, symbols[n], marks, version) for n in names],
    }
    return {**config_answer(account), "tradeGroupId": -1, **body} if version == 2 else body


def maintenance(account: Account, symbols: Mapping[str, Symbol], marks: Marks) -> Decimal:
    """Return the maintenance margin of all positions."""
    return sum((usd * symbols[s].maintenance for s, usd in account.notional(marks).items()), ZERO)


def _asset(account: Account, asset: str, marks: Marks) -> dict[str, Any]:
    is_quote = asset == QUOTE
    wallet, profit = account.wallets[asset], account.unrealised(marks) if is_quote else ZERO
    margin = account.margin(marks) if is_quote else ZERO
    return {
        "asset": asset,
        "walletBalance": text(wallet),
        "unrealizedProfit": text(profit),
        "marginBalance": text(wallet + profit),
        "maintMargin": "0",
        "initialMargin": text(margin),
        "positionInitialMargin": text(margin),
        "openOrderInitialMargin": "0",
        "crossWalletBalance": text(wallet),
        "crossUnPnl": text(profit),
        "availableBalance": text(max(ZERO, wallet + profit - margin)),
        "maxWithdrawAmount": text(max(ZERO, wallet - margin)),
        "marginAvailable": is_quote,
        "updateTime": account.updated_ms,
    }


def _account_position(
    account: Account, symbol: Symbol, marks: Marks, version: int
) -> dict[str, Any]:
    position = account.position(symbol.name)
    mark = marks.get(symbol.name, ZERO)
    notional = position.quantity * mark
    margin = text(abs(notional) / account.leverage_of(symbol.name))
    both = {
        "symbol": symbol.name,
        "initialMargin": margin,
        "maintMargin": text(abs(notional) * symbol.maintenance),
        "unrealizedProfit": text(position.unrealised(mark)),
        "positionSide": "BOTH",
        "positionAmt": text(position.quantity),
        "updateTime": position.updated_ms,
    }
    if version == 3:
        return {**both, "isolatedMargin": "0", "notional": text(notional), "isolatedWallet": "0"}
    return {
        **both,
        "positionInitialMargin": margin,
        "openOrderInitialMargin": "0",
        "leverage": str(account.leverage_of(symbol.name)),
        "isolated": False,
        "entryPrice": text(position.entry),
        "maxNotional": "100000000",
        "bidNotional": "0",
        "askNotional": "0",
    }


def config_answer(account: Account) -> dict[str, Any]:
    """Return `accountConfig` without the position mode."""
    return {
        "feeTier": 0,
        "feeBurn": account.burns_bnb,
        "canTrade": True,
        "canDeposit": True,
        "canWithdraw": False,
        "updateTime": 0,
        "multiAssetsMargin": account.is_multi,
    }


def symbol_config(account: Account, symbols: Iterable[Symbol]) -> list[dict[str, Any]]:
    """Return `symbolConfig`."""
    return [
        {
            "symbol": one.name,
            "marginType": "CROSSED",
            "isAutoAddMargin": False,
            "leverage": account.leverage_of(one.name),
            "maxNotionalValue": "100000000",
        }
        for one in symbols
    ]
