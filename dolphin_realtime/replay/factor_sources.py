"""The factors' sources in their own wire formats, at the replay's clock.

One function per endpoint belongs here: its fields, texts and units. The values belong in
factor_values.py, serving them in factor_server.py.
"""

from collections.abc import Callable
from typing import Any, Final

from dolphin_realtime.model.instant import DAY_US, HOUR_US, day_of, from_us
from dolphin_realtime.replay.factor_values import FactorValues

Query = dict[str, str]
FUNDING_HOURS: Final = {"ENAUSDT": 4, "LAYERUSDT": 4}
"""Assets of the sample whose interval is not the usual 8 hours."""
USUAL_HOURS: Final = 8
FIVE_MINUTES_US: Final = 300_000_000
PERIODS_US: Final = {"5m": FIVE_MINUTES_US, "1h": HOUR_US, "1d": DAY_US}
CANDLES_MAX: Final = 1000
VIX_DAYS: Final = 400
CLASSES: Final = (
    (24, "Extreme Fear"),
    (44, "Fear"),
    (55, "Neutral"),
    (75, "Greed"),
    (100, "Extreme Greed"),
)


class BadRequestError(Exception):
    """A request that the source refuses, with the source's own error text."""


class FactorSources:
    """Answers of every source.

    Args:
        values: The values of the factors.
        assets: The venue's perpetuals.
        mid: Returns the current price of an asset, None if it has none.
    """

    def __init__(
        self, values: FactorValues, assets: list[str], mid: Callable[[str], float | None]
    ) -> None:
        self._v, self._assets, self._mid = values, assets, mid
        self.routes: dict[str, Callable[[Query, int], Any]] = {
            "/fapi/v1/exchangeInfo": self._limits,
            "/fapi/v1/premiumIndex": self._premium,
            "/fapi/v1/fundingInfo": self._intervals,
            "/fapi/v1/fundingRate": self._settlements,
            "/fapi/v1/openInterest": self._open_interest,
            "/futures/data/openInterestHist": self._open_interests,
            "/futures/data/globalLongShortAccountRatio": self._accounts,
            "/futures/data/takerlongshortRatio": self._takers,
            "/api/v2/public/get_volatility_index_data": self._volatility,
            "/fng/": self._fear_greed,
            "/api/v3/global": self._dominance,
            "/stablecoins": self._stablecoins,
            "/api/global/us_indices/daily_prices/VIX_History.csv": self._vix,
            "/api/v1/fees/recommended": self._fees,
            "/api/v1/mining/hashrate/3d": self._hash_rate,
        }

    @property
    def note(self) -> str:
        """How the answers are simulated."""
        return self._v.note

    def _limits(self, _query: Query, now_us: int) -> Any:
        limit = {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1}
        return {
            "timezone": "UTC",
            "serverTime": now_us // 1000,
            "rateLimits": [{**limit, "limit": 2400}],
        }

    def _symbol(self, query: Query) -> str:
        symbol = query.get("symbol", "")
        if symbol not in self._assets:
            raise BadRequestError('{"code":-1121,"msg":"Invalid symbol."}')
        return symbol

    def _rate(self, asset: str, at_us: int) -> str:
        return f"{self._v.wave(f'funding {asset}', at_us, -1e-4, 4e-4):.8f}"

    def _premium(self, query: Query, now_us: int) -> Any:
        wanted = [self._symbol(query)] if "symbol" in query else self._assets
        rows = []
        for asset in wanted:
            hours_us = FUNDING_HOURS.get(asset, USUAL_HOURS) * HOUR_US
            mark = self._mid(asset) or 1.0
            rows.append(
                {
                    "symbol": asset,
                    "markPrice": f"{mark:.8f}",
                    "indexPrice": f"{mark * 0.9999:.8f}",
                    "estimatedSettlePrice": f"{mark:.8f}",
                    "lastFundingRate": self._rate(asset, now_us),
                    "interestRate": "0.00010000",
                    "nextFundingTime": (now_us // hours_us + 1) * hours_us // 1000,
                    "time": now_us // 1000,
                }
            )
        return rows[0] if "symbol" in query else rows

    def _intervals(self, _query: Query, _now_us: int) -> Any:
        caps = {"adjustedFundingRateCap": "0.03000000", "adjustedFundingRateFloor": "-0.03000000"}
        return [
            {"symbol": a, **caps, "fundingIntervalHours": FUNDING_HOURS[a], "disclaimer": False}
            for a in self._assets
            if a in FUNDING_HOURS
        ]

    def _settlements(self, query: Query, now_us: int) -> Any:
        asset = self._symbol(query)
        step = FUNDING_HOURS.get(asset, USUAL_HOURS) * HOUR_US
        return [
            {
                "symbol": asset,
                "fundingTime": at // 1000,
                "fundingRate": self._rate(asset, at),
                "markPrice": f"{self._mid(asset) or 1.0:.8f}",
            }
            for at in _steps(query, now_us, step, 100, 1000)
        ]

    def _interest(self, asset: str, at_us: int) -> float:
        largest = 1e8 / (self._mid(asset) or 1.0)
        return self._v.wave(f"open interest {asset}", at_us, 0.6 * largest, largest)

    def _open_interest(self, query: Query, now_us: int) -> Any:
        asset = self._symbol(query)
        value = f"{self._interest(asset, now_us):.3f}"
        return {"openInterest": value, "symbol": asset, "time": now_us // 1000}

    def _open_interests(self, query: Query, now_us: int) -> Any:
        asset, step = self._symbol(query), PERIODS_US[query.get("period", "5m")]
        rows = []
        for at in _steps(query, now_us, step, 30, 500):
            value = self._interest(asset, at)
            dollars = value * (self._mid(asset) or 1.0)
            rows.append(
                {
                    "symbol": asset,
                    "sumOpenInterest": f"{value:.8f}",
                    "sumOpenInterestValue": f"{dollars:.8f}",
                    "timestamp": at // 1000,
                }
            )
        return rows

    def _accounts(self, query: Query, now_us: int) -> Any:
        asset, at = self._symbol(query), now_us // FIVE_MINUTES_US * FIVE_MINUTES_US
        long = round(self._v.wave(f"accounts {asset}", at, 0.45, 0.75), 4)
        short = round(1.0 - long, 4)
        row = {"symbol": asset, "longShortRatio": f"{long / short:.4f}", "longAccount": f"{long}"}
        return [{**row, "shortAccount": f"{short}", "timestamp": at // 1000}]

    def _takers(self, query: Query, now_us: int) -> Any:
        asset, at = self._symbol(query), now_us // FIVE_MINUTES_US * FIVE_MINUTES_US
        volume = self._v.wave(f"volume {asset}", at, 500.0, 1500.0)
        bought = volume * self._v.wave(f"takers {asset}", at, 0.35, 0.65)
        ratio = {"buySellRatio": f"{bought / (volume - bought):.4f}", "buyVol": f"{bought:.4f}"}
        return [{**ratio, "sellVol": f"{volume - bought:.4f}", "timestamp": at // 1000}]

    def _volatility(self, query: Query, now_us: int) -> Any:
        name = f"dvol_{query['currency'].lower()}"
        step = int(query["resolution"]) * 1_000_000
        low, high = (30.0, 70.0) if name == "dvol_btc" else (45.0, 95.0)
        last = min(int(query["end_timestamp"]) * 1000, now_us) // step * step
        first = -(-int(query["start_timestamp"]) * 1000 // step) * step
        begins = list(range(first, last + 1, step))
        page = begins[-CANDLES_MAX:]
        data = []
        for at in page:
            opens, closes = (
                round(self._v.at(name, t, low, high), 2) for t in (at, min(at + step, now_us))
            )
            data.append([at // 1000, opens, max(opens, closes), min(opens, closes), closes])
        more = page[0] // 1000 if len(begins) > len(page) else None
        return {"jsonrpc": "2.0", "result": {"data": data, "continuation": more}}

    def _fear_greed(self, query: Query, now_us: int) -> Any:
        today = now_us // DAY_US * DAY_US
        wanted = int(query.get("limit", "1"))
        data = []
        for n in range(wanted):
            at = today - n * DAY_US
            value = round(self._v.at("fear_greed", at, 15.0, 85.0))
            row = {"value": str(value), "timestamp": str(at // 1_000_000)}
            row["value_classification"] = next(w for top, w in CLASSES if value <= top)
            data.append(row)
        data[0]["time_until_update"] = str((today + DAY_US - now_us) // 1_000_000)
        return {"name": "Fear and Greed Index", "data": data, "metadata": {"error": None}}

    def _dominance(self, _query: Query, now_us: int) -> Any:
        share = self._v.at("btc_dominance", now_us, 54.0, 66.0)
        shares = {"btc": share, "eth": 0.6 * (100.0 - share) / 2.0}
        data = {"active_cryptocurrencies": 17000, "total_market_cap": {"usd": 2.62e12}}
        data |= {"market_cap_percentage": shares, "updated_at": now_us // 1_000_000}
        return {"data": data}

    def _stablecoins(self, _query: Query, now_us: int) -> Any:
        rows = []
        for n, (name, symbol, key, low, high) in enumerate(
            (
                ("Tether", "USDT", "usdt_supply", 1.45e11, 1.5e11),
                ("USD Coin", "USDC", "usdc_supply", 5.9e10, 6.2e10),
                ("Euro Coin", "EURC", "eurc_supply", 1.5e8, 2.0e8),
            ),
            start=1,
        ):
            peg = "peggedEUR" if symbol == "EURC" else "peggedUSD"
            supply = {peg: self._v.at(key, now_us, low, high)}
            row = {"id": str(n), "name": name, "symbol": symbol, "pegType": peg, "price": 1.0}
            rows.append({**row, "circulating": supply})
        return {"peggedAssets": rows}

    def _vix(self, _query: Query, now_us: int) -> str:
        lines = ["DATE,OPEN,HIGH,LOW,CLOSE"]
        today = now_us // DAY_US * DAY_US
        for n in range(VIX_DAYS, 0, -1):
            at = today - n * DAY_US
            if from_us(at).weekday() < 5:
                close = self._v.of_day("vix", day_of(at), at, 14.0, 34.0)
                if close is not None:
                    prices = ",".join([f"{close:.6f}"] * 4)
                    lines.append(f"{from_us(at):%m/%d/%Y},{prices}")
        return "\n".join(lines) + "\n"

    def _fees(self, _query: Query, now_us: int) -> Any:
        fastest = round(self._v.wave("fees", now_us, 2.0, 18.0))
        half, hour = max(1, fastest - 1), max(1, fastest // 2)
        fees = {"fastestFee": fastest, "halfHourFee": half, "hourFee": hour}
        return {**fees, "economyFee": 1, "minimumFee": 1}

    def _hash_rate(self, _query: Query, now_us: int) -> Any:
        rate = self._v.at("btc_hash_rate", now_us, 8.4e20, 9.2e20)
        row = {"timestamp": now_us // DAY_US * 86_400, "avgHashrate": rate}
        return {"hashrates": [row], "currentHashrate": rate, "currentDifficulty": 1.2e14}


def _steps(query: Query, now_us: int, step_us: int, usual: int, most: int) -> list[int]:
    """Return the instants of a Binance history: oldest first from startTime, else the newest."""
    limit = min(int(query.get("limit", usual)), most)
    last = min(int(query.get("endTime", now_us // 1000)) * 1000, now_us) // step_us
    if "startTime" in query:
        first = -(-int(query["startTime"]) * 1000 // step_us)
        return [n * step_us for n in range(first, min(last, first + limit - 1) + 1)]
    return [n * step_us for n in range(last - limit + 1, last + 1)]
