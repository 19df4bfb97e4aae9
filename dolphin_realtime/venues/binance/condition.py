"""The condition of an account that may change by itself: modes, leverage, margin, clock."""

from decimal import Decimal

import msgspec

from dolphin_realtime.venues.binance.rest import Rest


class _Config(msgspec.Struct):
    dual: bool = msgspec.field(name="dualSidePosition")
    multi: bool = msgspec.field(name="multiAssetsMargin")


class _Symbol(msgspec.Struct):
    symbol: str
    leverage: int
    margin: str = msgspec.field(name="marginType")


class _Margin(msgspec.Struct):
    maintenance: Decimal = msgspec.field(name="totalMaintMargin")
    balance: Decimal = msgspec.field(name="totalMarginBalance")


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """What was answered last.

    Attributes:
        clock_ms: By how much the host's clock is off for sure.
        wrong_modes: Modes that must not be, in words.
        leverage: By symbol.
        margin: Maintenance margin over margin balance.
    """

    clock_ms: float = 0.0
    wrong_modes: tuple[str, ...] = ()
    leverage: dict[str, int] = {}
    margin: float = 0.0

    def wrong_leverage(self, names: list[str], wanted: int) -> tuple[str, ...]:
        """Return the names that have another leverage than wanted; none before the first answer."""
        return tuple(n for n in names if self.leverage.get(n, wanted) != wanted)


async def ask_condition(rest: Rest) -> Condition:
    """Ask for the account's condition.

    Raises:
        VenueError: As `Rest.get`.
        msgspec.DecodeError: If an answer is not what was agreed.
    """
    uncertain_ms = await rest.measure_clock()
    config = msgspec.json.decode(await rest.get("/fapi/v1/accountConfig"), type=_Config)
    symbols = msgspec.json.decode(await rest.get("/fapi/v1/symbolConfig"), type=list[_Symbol])
    margin = msgspec.json.decode(await rest.get("/fapi/v2/account"), type=_Margin)
    modes = (
        (config.dual, "positions are two-way"),
        (config.multi, "margin is of many assets"),
    )
    return Condition(
        clock_ms=max(0.0, abs(rest.offset_ms) - uncertain_ms),
        wrong_modes=tuple(words for is_wrong, words in modes if is_wrong),
        leverage={one.symbol: one.leverage for one in symbols},
        margin=float(margin.maintenance / margin.balance) if margin.balance > 0 else 1.0,
    )
