"""Which request gets which answer: every path that the venue knows, its weight and its rights.

A function here reads a request's parameters and calls the exchange; signatures, limits and faults
come before (server.py). Paths and weights are Binance USD-M's.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final

import msgspec

from dolphin_realtime.replay.exchange import answers
from dolphin_realtime.replay.exchange.account import Account
from dolphin_realtime.replay.exchange.exchange import Exchange
from dolphin_realtime.replay.exchange.refusals import Refusal
from dolphin_realtime.replay.exchange.symbols import brackets, exchange_info

Params = Mapping[str, str]
WEEK_MS: Final = 7 * 86_400_000


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer is made of; the account is None for a public path."""

    venue: Exchange
    params: Params
    now_ms: int
    account: Account | None = None

    @property
    def own(self) -> Account:
        """The account of a signed request."""
        if self.account is None:
            raise Refusal(-2014)
        return self.account

    def text(self, name: str) -> str:
        """Return a parameter.

        Raises:
            Refusal: -1102 if it is missing.
        """
        if not self.params.get(name):
            raise Refusal(-1102, name)
        return self.params[name]

    def number(self, name: str, default: int) -> int:
        """Return a whole number.

        Raises:
            Refusal: -1102 if it is malformed.
        """
        try:
            return int(self.params.get(name) or default)
        except ValueError:
            raise Refusal(-1102, name) from None

    def symbol(self) -> str:
        """Return the symbol.

        Raises:
            Refusal: -1121 if it is not listed.
        """
        name = self.params.get("symbol", "")
        if name not in self.venue.symbols:
            raise Refusal(-1121)
        return name


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """One path and method.

    Attributes:
        signed: Whether a signature is asked.
        trades: Whether a key that may only read is refused.
        is_order_question: Whether it asks for one order, which the venue may not know yet.
    """

    answer: Callable[[Request], Any]
    weight: int = 1
    signed: bool = True
    trades: bool = False
    is_order_question: bool = False


def _time(r: Request) -> Any:
    return {"serverTime": r.now_ms}


def _info(r: Request) -> Any:
    return exchange_info(r.venue.symbols.values(), r.now_ms)


def _dual(r: Request) -> Any:
    return {"dualSidePosition": r.own.is_hedged}


def _multi(r: Request) -> Any:
    return {"multiAssetsMargin": r.own.is_multi}


def _set_dual(r: Request) -> Any:
    r.own.is_hedged = r.text("dualSidePosition").lower() == "true"
    return {"code": 200, "msg": "success"}


def _set_multi(r: Request) -> Any:
    r.own.is_multi = r.text("multiAssetsMargin").lower() == "true"
    return {"code": 200, "msg": "success"}


def _burn(r: Request) -> Any:
    return {"feeBurn": r.own.burns_bnb}


def _config(r: Request) -> Any:
    return {**answers.config_answer(r.own), "dualSidePosition": r.own.is_hedged, "tradeGroupId": -1}


def _symbol_config(r: Request) -> Any:
    symbols = r.venue.symbols
    wanted = [symbols[r.symbol()]] if r.params.get("symbol") else list(symbols.values())
    return answers.symbol_config(r.own, wanted)


def _commission(r: Request) -> Any:
    fee = answers.text(r.own.fee)
    return {"symbol": r.symbol(), "makerCommissionRate": "0.000200", "takerCommissionRate": fee,
            "rpiCommissionRate": "0.000050"}  # fmt: skip


def _brackets(r: Request) -> Any:
    symbols = r.venue.symbols
    if r.params.get("symbol"):
        return brackets(symbols[r.symbol()])
    return [brackets(one) for one in symbols.values()]


def _account(version: int) -> Callable[[Request], Any]:
    return lambda r: answers.account_answer(r.own, r.venue.symbols, r.venue.marks(), version)


def _positions_v2(r: Request) -> Any:
    symbols = r.venue.symbols
    wanted = [symbols[r.symbol()]] if r.params.get("symbol") else symbols.values()
    return answers.positions_v2(r.own, wanted, r.venue.marks())


def _positions_v3(r: Request) -> Any:
    found = answers.positions_v3(r.own, r.venue.symbols, r.venue.marks())
    wanted = r.params.get("symbol")
    return [one for one in found if wanted in (None, "", one["symbol"])]


def _place(r: Request) -> Any:
    return answers.order_answer(r.venue.place(r.own, r.params))


def _cancel(r: Request) -> Any:
    return answers.order_answer(r.venue.cancel(r.own, r.params))


def _cancel_all(r: Request) -> Any:
    r.venue.cancel_all(r.own, r.symbol())
    return {"code": 200, "msg": "The operation of cancel all open order is done."}


def _order(r: Request) -> Any:
    return answers.order_answer(r.venue.find(r.own, r.params))


def _open_orders(r: Request) -> Any:
    wanted = r.params.get("symbol")
    orders = r.venue.open_orders(r.own)
    return [answers.order_answer(o) for o in orders if wanted in (None, "", o.symbol)]


def _all_orders(r: Request) -> Any:
    symbol, first = r.symbol(), r.number("orderId", 0)
    found = [o for o in r.venue.orders_of(r.own) if o.symbol == symbol and o.id >= first]
    return [answers.order_answer(o) for o in found[-r.number("limit", 500) :]]


def _trades(r: Request) -> Any:
    """Trades of a symbol: by first id, by order, or of a span of a week at the most."""
    symbol, limit = r.symbol(), min(r.number("limit", 500), 1000)
    found = [t for t in r.own.trades if t.symbol == symbol]
    if r.params.get("fromId"):
        found = [t for t in found if t.id >= r.number("fromId", 0)][:limit]
    elif r.params.get("orderId"):
        found = [t for t in found if t.order_id == r.number("orderId", 0)]
    else:
        first, last = _span(r)
        found = [t for t in found if first <= t.at_ms <= last][:limit]
    return [answers.trade_answer(t) for t in found]


def _income(r: Request) -> Any:
    first, last = _span(r)
    kind, symbol = r.params.get("incomeType"), r.params.get("symbol")
    limit, page = min(r.number("limit", 100), 1000), r.number("page", 1)
    found = [
        row for row in r.own.income
        if first <= row.at_ms <= last and kind in (None, "", row.kind)
        and symbol in (None, "", row.symbol)
    ]  # fmt: skip
    return [answers.income_answer(row) for row in found[(page - 1) * limit : page * limit]]


def _span(r: Request) -> tuple[int, int]:
    last = r.number("endTime", r.now_ms)
    first = r.number("startTime", last - WEEK_MS)
    if last - first > WEEK_MS or first > last:
        raise Refusal(-4165)
    return first, last


def _leverage(r: Request) -> Any:
    symbol, leverage = r.symbol(), r.number("leverage", 20)
    r.venue.set_leverage(r.own, symbol, leverage)
    return {"symbol": symbol, "leverage": leverage, "maxNotionalValue": "100000000"}


def _margin_type(r: Request) -> Any:
    if r.text("marginType") == "CROSSED":
        raise Refusal(-4046)
    raise Refusal(-1102, "marginType: this venue has cross margin alone")


def _countdown(r: Request) -> Any:
    symbol, after_ms = r.symbol(), r.number("countdownTime", 0)
    if after_ms:
        r.own.countdowns[symbol] = r.now_ms + after_ms
    else:
        r.own.countdowns.pop(symbol, None)
    return {"symbol": symbol, "countdownTime": str(after_ms)}


def _balance(r: Request) -> Any:
    marks = r.venue.marks()
    found = answers.account_answer(r.own, r.venue.symbols, marks, 2)["assets"]
    return [{"accountAlias": "loopback", "balance": one["walletBalance"], **one} for one in found]


def _nothing(_: Request) -> Any:
    return []


def _mark_price(r: Request) -> Any:
    marks = r.venue.marks()
    wanted = [r.symbol()] if r.params.get("symbol") else list(marks)
    found = [
        {"symbol": name, "markPrice": answers.text(marks.get(name, Decimal(0))),
         "indexPrice": answers.text(marks.get(name, Decimal(0))), "estimatedSettlePrice": "0",
         "lastFundingRate": "0.00010000", "interestRate": "0.00010000",
         "nextFundingTime": (r.now_ms // 28_800_000 + 1) * 28_800_000, "time": r.now_ms}
        for name in wanted
    ]  # fmt: skip
    return found[0] if r.params.get("symbol") else found


ROUTES: Final[Mapping[tuple[str, str], Route]] = {
    ("GET", "/fapi/v1/ping"): Route(answer=lambda _: {}, signed=False),
    ("GET", "/fapi/v1/time"): Route(answer=_time, signed=False),
    ("GET", "/fapi/v1/exchangeInfo"): Route(answer=_info, signed=False),
    ("GET", "/fapi/v1/premiumIndex"): Route(answer=_mark_price, signed=False, weight=10),
    ("GET", "/fapi/v1/positionSide/dual"): Route(answer=_dual, weight=30),
    ("GET", "/fapi/v1/multiAssetsMargin"): Route(answer=_multi, weight=30),
    ("GET", "/fapi/v1/feeBurn"): Route(answer=_burn, weight=30),
    ("GET", "/fapi/v1/accountConfig"): Route(answer=_config, weight=5),
    ("GET", "/fapi/v1/symbolConfig"): Route(answer=_symbol_config, weight=5),
    ("GET", "/fapi/v1/commissionRate"): Route(answer=_commission, weight=20),
    ("GET", "/fapi/v1/leverageBracket"): Route(answer=_brackets),
    ("GET", "/fapi/v2/balance"): Route(answer=_balance, weight=5),
    ("GET", "/fapi/v3/balance"): Route(answer=_balance, weight=5),
    ("GET", "/fapi/v2/account"): Route(answer=_account(2), weight=5),
    ("GET", "/fapi/v3/account"): Route(answer=_account(3), weight=5),
    ("GET", "/fapi/v2/positionRisk"): Route(answer=_positions_v2, weight=5),
    ("GET", "/fapi/v3/positionRisk"): Route(answer=_positions_v3, weight=5),
    ("POST", "/fapi/v1/order"): Route(answer=_place, weight=0, trades=True),
    ("DELETE", "/fapi/v1/order"): Route(answer=_cancel, trades=True),
    ("GET", "/fapi/v1/order"): Route(answer=_order, is_order_question=True),
    ("GET", "/fapi/v1/openOrders"): Route(answer=_open_orders),
    ("GET", "/fapi/v1/openAlgoOrders"): Route(answer=_nothing),
    ("GET", "/fapi/v1/allOrders"): Route(answer=_all_orders, weight=5),
    ("DELETE", "/fapi/v1/allOpenOrders"): Route(answer=_cancel_all, trades=True),
    ("DELETE", "/fapi/v1/algoOpenOrders"): Route(answer=_cancel_all, trades=True),
    ("POST", "/fapi/v1/countdownCancelAll"): Route(answer=_countdown, weight=10, trades=True),
    ("GET", "/fapi/v1/userTrades"): Route(answer=_trades, weight=5),
    ("GET", "/fapi/v1/income"): Route(answer=_income, weight=30),
    ("POST", "/fapi/v1/positionSide/dual"): Route(answer=_set_dual, trades=True),
    ("POST", "/fapi/v1/multiAssetsMargin"): Route(answer=_set_multi, trades=True),
    ("POST", "/fapi/v1/leverage"): Route(answer=_leverage, trades=True),
    ("POST", "/fapi/v1/marginType"): Route(answer=_margin_type, trades=True),
}
