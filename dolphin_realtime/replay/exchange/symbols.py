"""The venue's symbols: tick, step, least notional, and `exchangeInfo`.

Rules of one symbol and their wire form belong here; whether an order keeps them is judged in
orders.py. Steps are Binance USD-M's of the shipped perpetuals (model/market/instrument.py).
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Final

import msgspec

from dolphin_realtime.model.market.instrument import MODELLED_DIGITS, OTHER, SHIPPED

ONBOARD_MS: Final = 1_569_398_400_000
DELIVERY_MS: Final = 4_133_404_800_000
QUOTE: Final = "USDT"
ORDERS_10S: Final = 300
ORDERS_1M: Final = 1200
WEIGHT_1M: Final = 2400


class Symbol(msgspec.Struct, frozen=True, kw_only=True):
    """Rules of one perpetual.

    Attributes:
        price_digits: Decimal places of its tick.
        size_digits: Decimal places of its step.
        least_usd: Smallest notional of an order that is not reduce-only.
        most: Largest quantity of a market order.
        leverage_max: Largest leverage of its first bracket.
        maintenance: Maintenance margin as a fraction of the notional.
        is_trading: Whether it takes orders.
    """

    name: str
    price_digits: int
    size_digits: int
    least_usd: Decimal = Decimal(5)
    most: Decimal = Decimal(1_000_000_000)
    leverage_max: int = 50
    maintenance: Decimal = Decimal("0.01")
    is_trading: bool = True

    @property
    def base(self) -> str:
        """The base asset."""
        return self.name.removesuffix(QUOTE)


def symbols_of(assets: Iterable[str]) -> dict[str, Symbol]:
    """Return the symbols of some assets by name."""
    found = {}
    for asset in assets:
        spec = SHIPPED.get(asset, OTHER)
        digits = spec.price_precision - MODELLED_DIGITS
        found[asset] = Symbol(name=asset, price_digits=digits, size_digits=spec.size_precision)
    return found


def step_text(digits: int) -> str:
    """Return a step with so many decimal places, as a text."""
    return format(Decimal(1).scaleb(-digits), "f")


def exchange_info(symbols: Iterable[Symbol], now_ms: int) -> dict[str, Any]:
    """Return the answer of `exchangeInfo`."""
    limits = [
        ("REQUEST_WEIGHT", "MINUTE", 1, WEIGHT_1M),
        ("ORDERS", "MINUTE", 1, ORDERS_1M),
        ("ORDERS", "SECOND", 10, ORDERS_10S),
    ]
    return {
        "exchangeFilters": [],
        "rateLimits": [
            {"rateLimitType": kind, "interval": interval, "intervalNum": n, "limit": limit}
            for kind, interval, n, limit in limits
        ],
        "serverTime": now_ms,
        "timezone": "UTC",
        "assets": [
            {"asset": asset, "marginAvailable": asset == QUOTE, "autoAssetExchange": "0"}
            for asset in (QUOTE, "BNB")
        ],
        "symbols": [_symbol(one) for one in symbols],
    }


def _symbol(one: Symbol) -> dict[str, Any]:
    return {
        "symbol": one.name,
        "pair": one.name,
        "contractType": "PERPETUAL",
        "deliveryDate": DELIVERY_MS,
        "onboardDate": ONBOARD_MS,
        "status": "TRADING" if one.is_trading else "SETTLING",
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": one.base,
        "quoteAsset": QUOTE,
        "marginAsset": QUOTE,
        "pricePrecision": one.price_digits,
        "quantityPrecision": one.size_digits,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": [],
        "settlePlan": 0,
        "triggerProtect": "0.0500",
        "liquidationFee": "0.012500",
        "marketTakeBound": "0.05",
        "maxMoveOrderLimit": 10000,
        "filters": _filters(one),
        "orderTypes": ["LIMIT", "MARKET"],
        "timeInForce": ["GTC", "IOC", "GTX"],
    }


def _filters(one: Symbol) -> list[dict[str, Any]]:
    tick, step = step_text(one.price_digits), step_text(one.size_digits)
    most = format(one.most, "f")
    return [
        {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "1000000000", "tickSize": tick},
        {"filterType": "LOT_SIZE", "minQty": step, "maxQty": most, "stepSize": step},
        {"filterType": "MARKET_LOT_SIZE", "minQty": step, "maxQty": most, "stepSize": step},
        {"filterType": "MAX_NUM_ORDERS", "limit": 200},
        {"filterType": "MAX_NUM_ALGO_ORDERS", "limit": 10},
        {"filterType": "MIN_NOTIONAL", "notional": format(one.least_usd, "f")},
        {"filterType": "PERCENT_PRICE", "multiplierUp": "1.0500", "multiplierDown": "0.9500",
         "multiplierDecimal": "4"},
    ]  # fmt: skip


def brackets(one: Symbol) -> dict[str, Any]:
    """Return one symbol's answer of `leverageBracket`."""
    return {
        "symbol": one.name,
        "notionalCoef": 1.0,
        "brackets": [
            {"bracket": 1, "initialLeverage": one.leverage_max, "notionalCap": 100_000_000,
             "notionalFloor": 0, "maintMarginRatio": float(one.maintenance), "cum": 0.0}
        ],
    }  # fmt: skip
