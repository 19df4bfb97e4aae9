"""The safety posture: how much the trader may do, and the pure rules that choose it.

The ladder, its wire document and what each posture allows belong here; reading the inputs
and publishing do not (services/safety/). Ages are seconds of wall time.
"""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final

import msgspec

HEALTHY: Final = ("GREEN", "DEGRADED", "STARTING")
REASON_CODES: Final = (
    "NO_SCAN", "STALE_SCAN", "STATE_UNKNOWN", "HEALTH_CRITICAL", "HEALTH_DEAD", "HEALTH_UNKNOWN",
    "DRAWDOWN", "DAILY_LOSS", "REJECTS", "VOLATILITY_SHOCK", "RECONCILIATION", "VENUE", "MANUAL",
    "FLATTEN",
)  # fmt: skip
"""The codes with which the reasons of a posture begin; each is tested on a running stack."""
Share = Annotated[float, msgspec.Meta(gt=0, le=1)]


class Posture(StrEnum):
    """The postures, from unrestricted to stopped."""

    NORMAL = "NORMAL"
    REDUCED = "REDUCED"
    CLOSE_ONLY = "CLOSE_ONLY"
    HALTED = "HALTED"

    @property
    def rank(self) -> int:
        """0 for NORMAL, growing with restriction."""
        return list(Posture).index(self)

    @property
    def size_multiplier(self) -> float:
        """The factor on a new position's weight; 0 if nothing may be opened."""
        return {Posture.NORMAL: 1.0, Posture.REDUCED: 0.5}.get(self, 0.0)

    @property
    def target_multiplier(self) -> float:
        """The factor on targets; 1 if nothing may be opened, so that positions keep their size."""
        return self.size_multiplier or 1.0

    @property
    def trading_state(self) -> str:
        """The ``trading_state`` of STATE: ACTIVE, REDUCING or HALTED."""
        if self is Posture.HALTED:
            return "HALTED"
        return "ACTIVE" if self.size_multiplier else "REDUCING"


def forbidden(posture: Posture | None, *, is_reduce_only: bool) -> str | None:
    """Return why a posture forbids an order, None if it does not; posture None is unknown."""
    if posture is Posture.HALTED:
        return "nothing leaves in HALTED"
    if posture in (None, Posture.CLOSE_ONLY) and not is_reduce_only:
        return f"nothing opens in {posture or 'an unknown posture'}"
    return None


class InstancePosture(msgspec.Struct, kw_only=True):
    """What one trader may do: the worst of what applies to all and of what applies to it alone."""

    posture: Posture
    reasons: list[str]
    since: datetime
    flatten: dict[str, str] | None = None


class SafetyDocument(msgspec.Struct, kw_only=True):
    """DOLPHIN_SAFETY["latest"] on the wire.

    Attributes:
        posture: The strictest of all traders: who knows only this field does too little, not too much.
        reasons: Those of all traders, each once.
        instances: The posture of each trader; empty: all have the one above.
    """

    posture: Posture
    size_multiplier: Annotated[float, msgspec.Meta(ge=0, le=1)]
    reasons: list[str]
    limits: dict[str, float]
    since: datetime
    ts: datetime
    flatten: dict[str, str] | None = None
    instances: dict[str, InstancePosture] = {}

    def of(self, instance: str) -> InstancePosture | None:
        """Return a trader's posture, None if others are named and it is not."""
        if self.instances:
            return self.instances.get(instance)
        return InstancePosture(
            posture=self.posture, reasons=self.reasons, since=self.since, flatten=self.flatten
        )


class OperatorCommand(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the safety ledger: a posture floor, a flatten, a resume or an automatic halt.

    Attributes:
        instance: The trader that it is for; empty: every one.
    """

    action: str
    posture: Posture
    reason: str
    who: str
    at: datetime
    instance: str = ""

    @property
    def flatten_id(self) -> str:
        """The unique id of a flatten: the instant of its command."""
        return self.at.isoformat()


class SafetyParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bounds of the ladder; shares are fractions of the peak, or of the day's start equity.

    Attributes:
        drawdown_reduced_share: Loss from the peak at which sizes are halved.
        drawdown_close_only_share: Loss from the peak at which nothing is opened.
        drawdown_halted_share: Loss from the peak at which nothing is sent.
        daily_loss_share: Loss of the UTC day at which nothing is opened.
        rejects_of_10: Rejected orders among the last ten at which sizes are halved.
        scan_stale_min_s: A scan is never stale below this age.
        scan_stale_cadences: A scan is stale above this age, in cadences.
        state_stale_s: A trader's state counts as unknown above this age.
    """

    drawdown_reduced_share: Share = 0.03
    drawdown_close_only_share: Share = 0.05
    drawdown_halted_share: Share = 0.08
    daily_loss_share: Share = 0.02
    rejects_of_10: Annotated[int, msgspec.Meta(ge=1, le=10)] = 3
    scan_stale_min_s: Annotated[float, msgspec.Meta(gt=0)] = 30.0
    scan_stale_cadences: Annotated[float, msgspec.Meta(gt=0)] = 3.0
    state_stale_s: Annotated[float, msgspec.Meta(gt=0)] = 30.0

    def scan_age_limit_s(self, cadence_s: float) -> float:
        """Return the scan age above which only exits are allowed."""
        return max(self.scan_stale_cadences * cadence_s, self.scan_stale_min_s)


class InstanceFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The inputs of the posture from one trader.

    Attributes:
        age_s: Age of its state; None if it never published one.
        drawdown: Loss from the peak since the last resume, a fraction.
        day_loss: Loss of the UTC day, a fraction.
        rejected: Rejected orders among its last ten.
        mismatch: How portfolio and engine disagree, None if they agree.
        is_shocked: Whether a volatility shock was less than 15 minutes ago in market time.
        venue: What a real venue's state calls for: posture, and why.
    """

    name: str
    age_s: float | None
    drawdown: float = 0.0
    day_loss: float = 0.0
    rejected: int = 0
    mismatch: str | None = None
    is_shocked: bool = False
    venue: tuple[tuple[Posture, str], ...] = ()


class SafetyInputs(msgspec.Struct, frozen=True, kw_only=True):
    """The inputs of the posture; None means unknown.

    Attributes:
        scan_age_s: Since the newest scan was bridged; None before the first.
        cadence_s: Median wall interval of the last scans.
        health: Status of the meta health document; None if missing or stale.
        instances: The traders whose state counts; one without a state counts after the grace.
        manual: The last operator command, None if there never was one.
    """

    scan_age_s: float | None
    cadence_s: float
    health: str | None
    instances: list[InstanceFacts] = []
    manual: OperatorCommand | None = None


Found = tuple[Posture, str]


def judge(inputs: SafetyInputs, p: SafetyParams) -> tuple[Posture, list[str]]:
    """Return the worst posture that the inputs call for, and all reasons."""
    found = [*_scan_reasons(inputs, p), *_health_reasons(inputs.health)]
    for one in inputs.instances:
        found += _instance_reasons(one, p)
    manual = inputs.manual
    if manual is not None and manual.posture is not Posture.NORMAL:
        word = "FLATTEN" if manual.action == "flatten" else "MANUAL"
        alone = f", {manual.instance} alone" if manual.instance else ""
        found.append((manual.posture, f"{word}: {manual.reason} ({manual.who}{alone})"))
    worst = max((posture for posture, _ in found), key=lambda q: q.rank, default=Posture.NORMAL)
    return worst, [reason for _, reason in found]


def _scan_reasons(inputs: SafetyInputs, p: SafetyParams) -> list[Found]:
    if inputs.scan_age_s is None:
        return [(Posture.CLOSE_ONLY, "NO_SCAN: no scan has been seen")]
    limit_s = p.scan_age_limit_s(inputs.cadence_s)
    if inputs.scan_age_s > limit_s:
        detail = f"{inputs.scan_age_s:.1f} s old, limit {limit_s:.0f} s"
        return [(Posture.CLOSE_ONLY, f"STALE_SCAN: the newest scan is {detail}")]
    return []


def _health_reasons(health: str | None) -> list[Found]:
    if health == "CRITICAL":
        return [(Posture.REDUCED, "HEALTH_CRITICAL: meta health is CRITICAL")]
    if health == "DEAD":
        return [(Posture.CLOSE_ONLY, "HEALTH_DEAD: meta health is DEAD")]
    if health in HEALTHY:
        return []
    said = "missing or old" if health is None else f"{health[:40]!r}, which says nothing"
    return [(Posture.CLOSE_ONLY, f"HEALTH_UNKNOWN: meta health is {said}")]


def _instance_reasons(one: InstanceFacts, p: SafetyParams) -> list[Found]:
    found: list[Found] = []
    if one.mismatch is not None:
        found.append((Posture.HALTED, f"RECONCILIATION: {one.name}: {one.mismatch}"))
    found += [(posture, f"VENUE: {one.name}: {why}") for posture, why in one.venue]
    tiers = (
        (Posture.HALTED, p.drawdown_halted_share),
        (Posture.CLOSE_ONLY, p.drawdown_close_only_share),
        (Posture.REDUCED, p.drawdown_reduced_share),
    )
    reached = next(((q, bound) for q, bound in tiers if one.drawdown >= bound), None)
    if reached is not None:
        text = f"DRAWDOWN: {one.name} is {one.drawdown:.2%} below its peak, tier {reached[1]:.0%}"
        found.append((reached[0], text))
    if one.day_loss >= p.daily_loss_share:
        text = (
            f"DAILY_LOSS: {one.name} lost {one.day_loss:.2%} today, limit {p.daily_loss_share:.0%}"
        )
        found.append((Posture.CLOSE_ONLY, text))
    if one.rejected >= p.rejects_of_10:
        text = f"REJECTS: {one.rejected} of the last 10 orders of {one.name} were rejected"
        found.append((Posture.REDUCED, text))
    if one.is_shocked:
        found.append((Posture.REDUCED, f"VOLATILITY_SHOCK: {one.name} saw one in the last 15 min"))
    if one.age_s is None or one.age_s > p.state_stale_s:
        age = "never published" if one.age_s is None else f"{one.age_s:.0f} s old"
        found.append((Posture.CLOSE_ONLY, f"STATE_UNKNOWN: the state of {one.name} is {age}"))
    return found


class Ladder(msgspec.Struct):
    """The current posture: it is lowered at once, and raised one step after each cool-down."""

    posture: Posture
    since: datetime
    calm_since: datetime | None = None

    def move(self, wanted: Posture, now: datetime, cool_down_s: float) -> bool:
        """Move towards ``wanted``; return whether the posture changed.

        The caller must not move it up from HALTED: only an operator's resume leaves HALTED.
        """
        if wanted.rank >= self.posture.rank:
            self.calm_since = None
            if wanted is self.posture:
                return False
            self._set(wanted, now)
            return True
        if self.calm_since is None:
            self.calm_since = now
        if (now - self.calm_since).total_seconds() < cool_down_s:
            return False
        self._set(list(Posture)[self.posture.rank - 1], now)
        self.calm_since = now
        return True

    def _set(self, posture: Posture, now: datetime) -> None:
        self.posture, self.since, self.calm_since = posture, now, None
