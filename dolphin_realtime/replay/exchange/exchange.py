"""The venue itself: accounts, orders, matching, and what happens to an account by itself.

What an order or a command does belongs here, told as events; sockets, signatures and answers do
not (server.py, keys.py, answers.py).
"""

import itertools
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from dolphin_realtime.replay.exchange import events
from dolphin_realtime.replay.exchange.account import BNB, ZERO, Account, Trade
from dolphin_realtime.replay.exchange.orders import LIVING, Order, allow, wanted
from dolphin_realtime.replay.exchange.refusals import Refusal
from dolphin_realtime.replay.exchange.shown_book import ShownBooks
from dolphin_realtime.replay.exchange.symbols import QUOTE, Symbol

Tell = Callable[[str, dict[str, Any]], None]
"""Takes an account's name and an event of its user stream."""


class Exchange:
    """Takes orders for accounts against the shown books.

    Attributes:
        accounts: By name.
        orders: Every order ever placed, by id: the truth that tests compare with.
    """

    def __init__(
        self,
        symbols: Mapping[str, Symbol],
        books: ShownBooks,
        now_ms: Callable[[], int],
        tell: Tell,
    ) -> None:
        self.symbols = dict(symbols)
        self.accounts: dict[str, Account] = {}
        self.orders: dict[int, Order] = {}
        self.books, self._now_ms, self._tell = books, now_ms, tell
        self._owner: dict[int, str] = {}
        self._living: dict[int, Order] = {}
        self._order_ids = itertools.count(8_000_000_001)
        self._trade_ids: dict[str, itertools.count[int]] = {}

    def open_account(self, name: str, usdt: Decimal, bnb: Decimal = ZERO) -> Account:
        """Open an account with deposits in its wallets."""
        account = self.accounts[name] = Account(name=name, wallets={})
        for asset, amount in ((QUOTE, usdt), (BNB, bnb)):
            account.pay("TRANSFER", "", asset, amount, self._now_ms())
        return account

    def marks(self) -> dict[str, Decimal]:
        """Return the mark price of every symbol that has a book: its mid."""
        found = {name: self.books.mid(name) for name in self.symbols}
        return {name: mark for name, mark in found.items() if mark is not None}

    def place(self, account: Account, params: Mapping[str, str]) -> Order:
        """Place an order and match it; the answer of the venue is the order before its trades.

        Raises:
            Refusal: If the venue takes no such order.
        """
        order = wanted(params, self.symbols, next(self._order_ids))
        if self.living(account, order.symbol, order.client_id) is not None:
            raise Refusal(-4116)
        symbol, side = self.symbols[order.symbol], params.get("positionSide", "BOTH")
        order = allow(order, account, symbol, self.marks(), side)
        order.placed_ms = order.updated_ms = self._now_ms()
        if order.time_in_force == "GTX" and order.kind == "LIMIT":
            raise Refusal(-5022)  # no maker orders here
        self._enter(account, order)
        answer = msgspec.structs.replace(order)
        self._match(account, order)
        return answer

    def cancel(self, account: Account, params: Mapping[str, str]) -> Order:
        """Cancel a living order and return it.

        Raises:
            Refusal: -2011 if it is not there or has ended.
        """
        order = self.find(account, params, -2011)
        if order.status not in LIVING:
            raise Refusal(-2011)
        self._end(account, order, "CANCELED")
        return order

    def cancel_all(self, account: Account, symbol: str | None = None) -> list[Order]:
        """Cancel every living order, of one symbol or of all."""
        found = [o for o in self.open_orders(account) if symbol in (None, o.symbol)]
        for order in found:
            self._end(account, order, "CANCELED")
        return found

    def find(self, account: Account, params: Mapping[str, str], code: int = -2013) -> Order:
        """Return an order by its id, or the newest of a client id.

        Raises:
            Refusal: With ``code`` if there is none.
        """
        symbol, client_id = params.get("symbol"), params.get("origClientOrderId")
        if symbol not in self.symbols:
            raise Refusal(-1121)
        by_id = params.get("orderId")
        if not (by_id or client_id):
            raise Refusal(-1102, "orderId or origClientOrderId")
        for order in reversed(self.orders_of(account)):
            is_named = str(order.id) == by_id if by_id else order.client_id == client_id
            if is_named and order.symbol == symbol:
                return order
        raise Refusal(code)

    def living(self, account: Account, symbol: str, client_id: str) -> Order | None:
        """Return the living order of a client id; ids are unique among those alone."""
        orders = self.open_orders(account)
        return next((o for o in orders if (o.symbol, o.client_id) == (symbol, client_id)), None)

    def orders_of(self, account: Account) -> list[Order]:
        """Return every order of an account, oldest first."""
        return [o for i, o in self.orders.items() if self._owner[i] == account.name]

    def open_orders(self, account: Account) -> list[Order]:
        """Return the living orders of an account."""
        return [o for i, o in self._living.items() if self._owner[i] == account.name]

    def move(self) -> None:
        """Match what rests against books that moved, and cancel what a countdown is over for."""
        now_ms = self._now_ms()
        for account in self.accounts.values():
            for order in self.open_orders(account):
                if now_ms >= account.countdowns.get(order.symbol, now_ms + 1):
                    self._end(account, order, "CANCELED")
                else:
                    self._match(account, order)
            over = [s for s, at_ms in account.countdowns.items() if now_ms >= at_ms]
            for symbol in over:
                del account.countdowns[symbol]

    def set_leverage(self, account: Account, symbol: str, leverage: int) -> None:
        """Change a symbol's leverage."""
        account.leverage[symbol] = leverage
        fields = {"ac": {"s": symbol, "l": leverage}}
        self._tell(account.name, events.config_update(self._now_ms(), fields))

    def transfer(self, account: Account, asset: str, amount: Decimal) -> None:
        """Move money in, or out with a negative amount."""
        at_ms = self._now_ms()
        account.pay("TRANSFER", "", asset, amount, at_ms)
        reason = "DEPOSIT" if amount > 0 else "WITHDRAW"
        self._tell(
            account.name, events.account_update(account, reason, at_ms, changes={asset: amount})
        )

    def fund(self, account: Account, symbol: str, rate: Decimal) -> None:
        """Settle funding of one symbol: a long pays a positive rate."""
        position, mark = account.position(symbol), self.marks().get(symbol)
        if not position.quantity or mark is None:
            return
        at_ms, amount = self._now_ms(), -position.quantity * mark * rate
        account.pay("FUNDING_FEE", symbol, QUOTE, amount, at_ms)
        told = events.account_update(account, "FUNDING_FEE", at_ms, symbol, {QUOTE: amount})
        self._tell(account.name, told)

    def margin_call(self, account: Account) -> None:
        """Tell the account that its margin is short."""
        told = events.margin_call(account, self.symbols, self.marks(), self._now_ms())
        self._tell(account.name, told)

    def take_over(
        self, account: Account, symbol: str, quantity: Decimal, client_id: str, price: Decimal
    ) -> None:
        """Close a part of a position by the venue: ADL (``adl_autoclose``) or a liquidation.

        Each part of one event comes under the same client id, as the venue sends it.
        """
        held = account.position(symbol).quantity
        order = Order(
            id=next(self._order_ids), client_id=client_id, symbol=symbol, is_buy=held < 0,
            quantity=min(quantity, abs(held)), kind="LIMIT", price=price, time_in_force="IOC",
            placed_ms=self._now_ms(), updated_ms=self._now_ms(),
        )  # fmt: skip
        self._enter(account, order)
        execution = "CALCULATED" if client_id.startswith("autoclose-") else "TRADE"
        self._trade(account, order, price, order.quantity, execution)

    def _enter(self, account: Account, order: Order) -> None:
        self.orders[order.id] = self._living[order.id] = order
        self._owner[order.id] = account.name
        self._tell_order(account, order, "NEW")

    def _match(self, account: Account, order: Order) -> None:
        asked = order.left
        taken = self.books.take(order.symbol, asked, is_buy=order.is_buy, limit=order.price)
        for price, quantity in taken:
            self._trade(account, order, price, quantity)
        if order.status in LIVING and (order.kind == "MARKET" or order.time_in_force != "GTC"):
            self._end(account, order, "EXPIRED")

    def _trade(
        self,
        account: Account,
        order: Order,
        price: Decimal,
        quantity: Decimal,
        execution: str = "TRADE",
    ) -> None:
        ids = self._trade_ids.setdefault(order.symbol, itertools.count(1))
        notional, bnb = price * quantity, self.books.mid("BNBUSDT")
        fee, fee_asset = account.fee_of(notional, bnb)
        trade = account.book_trade(Trade(
            id=next(ids), order_id=order.id, symbol=order.symbol, is_buy=order.is_buy, price=price,
            quantity=quantity, realised=ZERO, fee=fee, fee_asset=fee_asset, at_ms=self._now_ms(),
        ))  # fmt: skip
        order.filled += quantity
        order.cost += notional
        order.updated_ms = trade.at_ms
        order.status = "FILLED" if not order.left else "PARTIALLY_FILLED"
        self._tell_order(account, order, execution, trade)

    def _end(self, account: Account, order: Order, status: str) -> None:
        order.status, order.updated_ms = status, self._now_ms()
        self._tell_order(account, order, status)

    def _tell_order(
        self, account: Account, order: Order, execution: str, trade: Trade | None = None
    ) -> None:
        at_ms = order.updated_ms
        if order.status not in LIVING:
            self._living.pop(order.id, None)
        if trade is not None:
            told = events.account_update(account, "ORDER", at_ms, order.symbol)
            self._tell(account.name, told)
        self._tell(account.name, events.order_update(order, execution, at_ms, trade))
