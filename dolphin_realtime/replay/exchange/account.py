"""One account at the venue: wallets, positions, trades and income. Pure.

Booking of a trade, of funding and of a transfer belongs here; orders do not (orders.py). One-way
mode, cross margin. Amounts are exact; quantities are signed, positive for long.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

import msgspec

from dolphin_realtime.replay.exchange.symbols import QUOTE

ZERO: Final = Decimal(0)
BNB: Final = "BNB"
BNB_DISCOUNT: Final = Decimal("0.9")
CENTS: Final = Decimal("0.00000001")


class Position(msgspec.Struct, kw_only=True):
    """One symbol's position: signed units and their average price."""

    quantity: Decimal = ZERO
    entry: Decimal = ZERO
    updated_ms: int = 0

    def apply(self, signed: Decimal, price: Decimal) -> Decimal:
        """Take one trade and return the profit that it realised."""
        before, after = self.quantity, self.quantity + signed
        realised = ZERO
        if before * signed < 0:
            closed = min(abs(signed), abs(before))
            realised = closed * (price - self.entry) * (1 if before > 0 else -1)
        if before * after <= 0:
            self.entry = price if after else ZERO
        elif abs(after) > abs(before):
            self.entry = (before * self.entry + signed * price) / after
        self.quantity = after
        return realised

    def unrealised(self, mark: Decimal) -> Decimal:
        """Return the open profit at a mark price."""
        return self.quantity * (mark - self.entry)


class Trade(msgspec.Struct, frozen=True, kw_only=True):
    """One trade of the account."""

    id: int
    order_id: int
    symbol: str
    is_buy: bool
    price: Decimal
    quantity: Decimal
    realised: Decimal
    fee: Decimal
    fee_asset: str
    at_ms: int


class Income(msgspec.Struct, frozen=True, kw_only=True):
    """One change of a wallet, as `income` tells it."""

    tran_id: int
    kind: str
    symbol: str
    asset: str
    amount: Decimal
    at_ms: int
    trade_id: str = ""


class Account(msgspec.Struct, kw_only=True):
    """An account.

    Attributes:
        wallets: By asset: deposits plus everything realised and paid.
        leverage: By symbol where it was changed; 20 elsewhere.
        fee: The taker's fee, a fraction of the notional.
        burns_bnb: Whether fees are paid in BNB while there is any.
        is_hedged: Whether hedge mode is on; it takes no order here.
        is_multi: Whether multi-assets mode is on.
        countdowns: By symbol: when its living orders are cancelled unless the time is set anew.
    """

    name: str
    wallets: dict[str, Decimal]
    positions: dict[str, Position] = {}
    trades: list[Trade] = []
    income: list[Income] = []
    leverage: dict[str, int] = {}
    fee: Decimal = Decimal("0.0005")
    burns_bnb: bool = False
    is_hedged: bool = False
    is_multi: bool = False
    countdowns: dict[str, int] = {}
    updated_ms: int = 0

    def position(self, symbol: str) -> Position:
        """Return a symbol's position; it is kept when it was not there."""
        return self.positions.setdefault(symbol, Position())

    def held(self) -> dict[str, Decimal]:
        """Return the signed quantity of every open position."""
        return {s: p.quantity for s, p in self.positions.items() if p.quantity}

    def unrealised(self, marks: Mapping[str, Decimal]) -> Decimal:
        """Return the open profit of all positions; one without a mark counts 0."""
        return sum((p.unrealised(marks[s]) for s, p in self.positions.items() if s in marks), ZERO)

    def notional(self, marks: Mapping[str, Decimal]) -> dict[str, Decimal]:
        """Return each open position's absolute notional."""
        return {s: abs(q * marks[s]) for s, q in self.held().items() if s in marks}

    def margin(self, marks: Mapping[str, Decimal]) -> Decimal:
        """Return the initial margin of all positions."""
        return sum((usd / self.leverage_of(s) for s, usd in self.notional(marks).items()), ZERO)

    def leverage_of(self, symbol: str) -> int:
        """Return a symbol's leverage."""
        return self.leverage.get(symbol, 20)

    def book_trade(self, trade: Trade) -> Trade:
        """Book a trade; return it with the profit that it realised."""
        signed = trade.quantity if trade.is_buy else -trade.quantity
        position = self.position(trade.symbol)
        realised = position.apply(signed, trade.price)
        position.updated_ms = trade.at_ms
        trade = msgspec.structs.replace(trade, realised=realised)
        self.trades.append(trade)
        if realised:
            self.pay("REALIZED_PNL", trade.symbol, QUOTE, realised, trade.at_ms, str(trade.id))
        if trade.fee:
            asset = trade.fee_asset
            self.pay("COMMISSION", trade.symbol, asset, -trade.fee, trade.at_ms, str(trade.id))
        return trade

    def fee_of(self, notional: Decimal, bnb: Decimal | None) -> tuple[Decimal, str]:
        """Return the fee of a trade and its asset.

        Args:
            notional: Of the trade, in USDT.
            bnb: Price of BNB in USDT; None where there is none.
        """
        if self.burns_bnb and bnb:
            fee = (notional * self.fee * BNB_DISCOUNT / bnb).quantize(CENTS)
            if fee <= self.wallets.get(BNB, ZERO):
                return fee, BNB
        return (notional * self.fee).quantize(CENTS), QUOTE

    def pay(
        self, kind: str, symbol: str, asset: str, amount: Decimal, at_ms: int, trade_id: str = ""
    ) -> Income:
        """Change a wallet and keep the row of income.

        Its number is unique among the rows of its kind and symbol alone, as at the venue.
        """
        self.wallets[asset] = self.wallets.get(asset, ZERO) + amount
        self.updated_ms = at_ms
        number = int(trade_id) if trade_id else len(self.income)
        row = Income(
            tran_id=9_000_000_000 + number, kind=kind, symbol=symbol, asset=asset,
            amount=amount, at_ms=at_ms, trade_id=trade_id,
        )  # fmt: skip
        self.income.append(row)
        return row
