"""The ledger of one account: the venue's own trades and income, each once, by its ids. Pure.

Which rows are there, and what they come to, belong here; asking for them does not (reader.py).
Nothing is made up: a position is the sum of trades; a wallet is the sum of what trades realised and
cost, and of every other income. The income rows of a trade only say that there was one. Margin and
profit are USDT: a symbol with another margin asset would show as a difference of wallets.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Final

import msgspec

from dolphin_realtime.venues.binance.documents import Income, Trade

ZERO: Final = Decimal(0)
OF_TRADES: Final = ("REALIZED_PNL", "COMMISSION")
"""Kinds of income that a trade's own row tells as well."""
QUOTE: Final = "USDT"


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """Where ledger and venue are apart: of a symbol's position or an asset's wallet."""

    what: str
    name: str
    ledger: Decimal
    venue: Decimal


class Ledger:
    """Positions and wallets as they were at the beginning, and every row since.

    Attributes:
        positions_before: Signed units by symbol at the beginning.
        wallets_before: By asset.
        before: Keys of rows that are a part of the beginning.
        repeats: How often a row came that was known, from the stream or from REST.
        newest_ms: When the newest row was made, 0 before the first.
    """

    def __init__(
        self,
        positions_before: Mapping[str, Decimal] | None = None,
        wallets_before: Mapping[str, Decimal] | None = None,
    ) -> None:
        self.positions_before = dict(positions_before or {})
        self.wallets_before = dict(wallets_before or {})
        self.trades: dict[tuple[str, int], Trade] = {}
        self.income: dict[tuple[str, int, str], Income] = {}
        self.before: set[tuple[str, int] | tuple[str, int, str]] = set()
        self.repeats, self.newest_ms = 0, 0
        self._positions, self._wallets = dict(self.positions_before), dict(self.wallets_before)

    def leave_out(self, trades: Iterable[Trade], income: Iterable[Income]) -> None:
        """Count rows as a part of the beginning."""
        self.before.update(t.key for t in trades)
        self.before.update(row.key for row in income)

    def add_trade(self, trade: Trade) -> bool:
        """Add a trade; return whether it is new. A client id that comes later is kept."""
        key = trade.key
        known = self.trades.get(key)
        if known is not None or key in self.before:
            self.repeats += 1
            if known is not None and known.client_id is None and trade.client_id is not None:
                self.trades[key] = msgspec.structs.replace(known, client_id=trade.client_id)
            return False
        self.trades[key] = trade
        self.newest_ms = max(self.newest_ms, trade.at_ms)
        self._positions[trade.symbol] = self._positions.get(trade.symbol, ZERO) + trade.signed
        self._move(QUOTE, trade.realised)
        self._move(trade.fee_asset, -trade.fee)
        return True

    def add_income(self, row: Income) -> bool:
        """Add a row of income; return whether it is new. What trades tell themselves is not kept."""
        if row.kind in OF_TRADES:
            return False
        if row.key in self.income or row.key in self.before:
            self.repeats += 1
            return False
        self.income[row.key] = row
        self.newest_ms = max(self.newest_ms, row.at_ms)
        self._move(row.asset, row.amount)
        return True

    def forget(self, before_ms: int) -> None:
        """Drop rows that the venue does not tell any more; what they come to stays."""
        _forget(self.trades, before_ms)
        _forget(self.income, before_ms)

    def _move(self, asset: str, amount: Decimal) -> None:
        self._wallets[asset] = self._wallets.get(asset, ZERO) + amount

    def positions(self) -> dict[str, Decimal]:
        """Return the signed units of every open position."""
        return {symbol: units for symbol, units in self._positions.items() if units}

    def wallets(self) -> dict[str, Decimal]:
        """Return every wallet that is not empty."""
        return {asset: amount for asset, amount in self._wallets.items() if amount}

    def differences(
        self, positions: Mapping[str, Decimal], wallets: Mapping[str, Decimal], tolerance: Decimal
    ) -> list[Difference]:
        """Return where the venue says otherwise.

        Args:
            positions: The venue's open positions, signed units.
            wallets: The venue's wallets.
            tolerance: By how much a wallet may be apart.
        """
        found = []
        for what, ours, theirs, most in (
            ("position", self.positions(), positions, ZERO),
            ("wallet", self.wallets(), wallets, tolerance),
        ):
            for name in sorted(ours.keys() | theirs.keys()):
                one, other = ours.get(name, ZERO), theirs.get(name, ZERO)
                if abs(one - other) > most:
                    found.append(Difference(what=what, name=name, ledger=one, venue=other))
        return found


def _forget[K, R: (Trade, Income)](rows: dict[K, R], before_ms: int) -> None:
    while rows:
        key = next(iter(rows))
        if rows[key].at_ms >= before_ms:
            return
        del rows[key]
