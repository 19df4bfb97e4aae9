"""Whether an account may be traded: what is asked, and the judgement on it.

Only questions that change nothing are asked. `judge` is pure: facts in, one finding for each rule
out, each a sentence. Sources: Binance USD-M, "Account endpoints"; Wallet, "API key permission".
"""

from decimal import Decimal
from typing import Any, Final

import msgspec

from dolphin_realtime.config.live import LiveSettings
from dolphin_realtime.model.errors import VenueError
from dolphin_realtime.venues.binance.documents import read_positions, read_wallets
from dolphin_realtime.venues.binance.rest import Rest

CLOCK_MS: Final = 500.0
WEIGHT_MAX: Final = 1200
RESTING: Final = ("/fapi/v1/openOrders", "/fapi/v1/openAlgoOrders")
RIGHTS: Final = "/sapi/v1/account/apiRestrictions"


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What the settings say: names, leverage, caps in USDT."""

    names: list[str]
    leverage: int
    max_order_usd: float
    max_gross_usd: float


class Rights(msgspec.Struct, frozen=True, kw_only=True):
    """The rights of one API key."""

    ip_bound: bool = msgspec.field(name="ipRestrict")
    reads: bool = msgspec.field(name="enableReading")
    trades: bool = msgspec.field(name="enableFutures")
    withdraws: bool = msgspec.field(name="enableWithdrawals")
    transfers: bool = msgspec.field(name="enableInternalTransfer", default=False)
    transfers_widely: bool = msgspec.field(name="permitsUniversalTransfer", default=False)
    ends_ms: int = msgspec.field(name="tradingAuthorityExpirationTime", default=0)


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """One symbol of `exchangeInfo`."""

    symbol: str
    status: str
    margin_asset: str = msgspec.field(name="marginAsset")


class Configured(msgspec.Struct, frozen=True, kw_only=True):
    """One symbol of `symbolConfig`."""

    symbol: str
    margin: str = msgspec.field(name="marginType")
    leverage: int
    most_usd: Decimal = msgspec.field(name="maxNotionalValue")


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What the venue said; rights are None where the venue does not tell them."""

    offset_ms: float
    uncertain_ms: float
    trade_rights: Rights | None
    read_rights: Rights | None
    is_same_account: bool
    may_trade: bool
    is_hedged: bool
    is_multi: bool
    burns_bnb: bool
    listed: dict[str, Listed]
    configured: dict[str, Configured]
    open_orders: list[str]
    used_weight: int
    now_ms: int


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One rule: whether it holds, and the sentence that says so."""

    rule: str
    ok: bool
    says: str


class _Resting(msgspec.Struct):
    symbol: str


class _Info(msgspec.Struct):
    symbols: list[Listed]


def wanted_of(live: LiveSettings) -> Wanted:
    """Return what the settings ask of an account."""
    return Wanted(
        names=live.names, leverage=live.leverage, max_order_usd=live.max_order_usd,
        max_gross_usd=live.max_gross_usd,
    )  # fmt: skip


async def gather(trade: Rest, read: Rest, rights: tuple[Rest, Rest] | None) -> Facts:
    """Ask the venue for every fact, all of the trading key's own account.

    Args:
        trade: Client of the trading key.
        read: Client of the reading key.
        rights: Clients of both keys at the host that tells rights; None where there is none.

    Raises:
        VenueError: If the venue does not answer, refuses a question, or answers what is no answer.
    """
    try:
        return await _gather(trade, read, rights)
    except (msgspec.DecodeError, KeyError) as e:
        raise VenueError(f"an answer is not what was agreed: {type(e).__name__}: {e}") from None


async def _gather(trade: Rest, read: Rest, rights: tuple[Rest, Rest] | None) -> Facts:
    uncertain_ms = await trade.measure_clock()
    read.offset_ms = trade.offset_ms
    config = await _json(trade, "/fapi/v1/accountConfig", dict[str, Any])
    info = msgspec.json.decode(await trade.public("/fapi/v1/exchangeInfo"), type=_Info)
    configured = await _json(trade, "/fapi/v1/symbolConfig", list[Configured])
    burn = await _json(trade, "/fapi/v1/feeBurn", dict[str, bool])
    told = [await _rights(one, trade.offset_ms) for one in rights] if rights else [None, None]
    return Facts(
        offset_ms=trade.offset_ms, uncertain_ms=uncertain_ms, trade_rights=told[0],
        read_rights=told[1], is_same_account=await _held(trade) == await _held(read),
        may_trade=bool(config["canTrade"]), is_hedged=bool(config["dualSidePosition"]),
        is_multi=bool(config["multiAssetsMargin"]), burns_bnb=burn["feeBurn"],
        listed={one.symbol: one for one in info.symbols},
        configured={one.symbol: one for one in configured}, open_orders=await _resting(trade),
        used_weight=trade.used_weight, now_ms=trade.now_ms(),
    )  # fmt: skip


async def _held(rest: Rest) -> tuple[Any, Any]:
    """Return positions and wallets, by which two keys of one account are known."""
    positions = read_positions(await rest.get("/fapi/v3/positionRisk"))
    return positions, read_wallets(await rest.get("/fapi/v2/account"))


async def _resting(rest: Rest) -> list[str]:
    """Return the symbols with an order that rests, conditional ones included."""
    found = [await _json(rest, path, list[_Resting]) for path in RESTING]
    return sorted({one.symbol for orders in found for one in orders})


async def _rights(rest: Rest, offset_ms: float) -> Rights:
    rest.offset_ms = offset_ms
    return await _json(rest, RIGHTS, Rights)


async def _json[T](rest: Rest, path: str, kind: type[T]) -> T:
    return msgspec.json.decode(await rest.get(path), type=kind)


def judge(facts: Facts, wanted: Wanted) -> list[Finding]:
    """Return a finding for each rule, in the order in which a person would mend them."""
    return [
        _clock(facts),
        *_keys(facts),
        *_modes(facts),
        *[_name(facts, name, wanted) for name in wanted.names],
        _caps(wanted),
        _orders(facts),
        _weight(facts),
    ]


def _clock(facts: Facts) -> Finding:
    off_ms = abs(facts.offset_ms)
    ok = off_ms - facts.uncertain_ms <= CLOCK_MS
    says = f"the host's clock is {off_ms:.0f} ms off the venue's (±{facts.uncertain_ms:.0f})"
    return Finding(rule="clock", ok=ok, says=f"{says}; at most {CLOCK_MS:.0f}, set it by NTP")


def _keys(facts: Facts) -> list[Finding]:
    trade, read = facts.trade_rights, facts.read_rights
    if trade is None or read is None:
        return [Finding(rule="rights", ok=True, says="this venue does not tell the keys' rights")]
    lives = not trade.ends_ms or trade.ends_ms > facts.now_ms
    rules = [
        ("trade_key", trade.trades, "the trading key may trade futures"),
        ("trade_key_lives", lives, "the trading key's authority has not ended"),
        ("withdrawals", not any(map(_moves_money, (trade, read))), "no key may move money away"),
        ("ip_bound", trade.ip_bound, "the trading key is bound to addresses"),
        ("read_key", read.reads and not read.trades, "the reading key may read and not trade"),
    ]
    return [Finding(rule=rule, ok=ok, says=_said(says, ok)) for rule, ok, says in rules]


def _moves_money(rights: Rights) -> bool:
    return rights.withdraws or rights.transfers or rights.transfers_widely


def _modes(facts: Facts) -> list[Finding]:
    rules = [
        ("one_account", facts.is_same_account, "both keys see the same positions and wallets"),
        ("may_trade", facts.may_trade, "the venue lets the account trade"),
        ("one_way", not facts.is_hedged, "positions are one-way"),
        ("single_asset", not facts.is_multi, "margin is of a single asset"),
    ]
    found = [Finding(rule=rule, ok=ok, says=_said(says, ok)) for rule, ok, says in rules]
    fees = "fees are paid in BNB while there is any" if facts.burns_bnb else "fees are paid in USDT"
    return [*found, Finding(rule="fees", ok=True, says=fees)]


def _name(facts: Facts, name: str, wanted: Wanted) -> Finding:
    listed, configured = facts.listed.get(name), facts.configured.get(name)
    if listed is None or configured is None:
        why = f"{name} is not listed"
    elif listed.status != "TRADING":
        why = f"{name} is {listed.status}"
    elif listed.margin_asset != "USDT":
        why = f"{name} has its margin in {listed.margin_asset}"
    elif configured.margin != "CROSSED":
        why = f"{name} has margin {configured.margin}, not CROSSED"
    elif configured.leverage != wanted.leverage:
        why = f"{name} has leverage {configured.leverage}, the settings say {wanted.leverage}"
    elif configured.most_usd < Decimal(str(wanted.max_gross_usd)):
        why = f"{name} may be held up to {configured.most_usd} USDT at this leverage"
    else:
        return Finding(
            rule=name, ok=True, says=f"{name} trades, cross margin, {configured.leverage}x"
        )
    return Finding(rule=name, ok=False, says=why)


def _caps(wanted: Wanted) -> Finding:
    ok = 0.0 < wanted.max_order_usd <= wanted.max_gross_usd
    says = f"orders up to {wanted.max_order_usd:,.0f}, positions up to {wanted.max_gross_usd:,.0f} USDT"
    return Finding(
        rule="caps", ok=ok, says=says if ok else f"{says}: the first may not be above the second"
    )


def _orders(facts: Facts) -> Finding:
    names = facts.open_orders
    says = (
        f"orders rest at the venue: {', '.join(names)}" if names else "no order rests at the venue"
    )
    return Finding(rule="open_orders", ok=not names, says=says)


def _weight(facts: Facts) -> Finding:
    ok = facts.used_weight <= WEIGHT_MAX
    return Finding(
        rule="weight", ok=ok, says=f"request weight used this minute: {facts.used_weight}"
    )


def _said(says: str, ok: bool) -> str:
    return says if ok else f"NOT: {says}"
