"""Every check of the realtime services: which asset, which rule, what to look at and to do."""

from collections.abc import Iterator

from dolphin_dagster import checks
from dolphin_dagster.checks import Verdict
from dolphin_dagster.realtime.assets import SCAN_FEED, journal
from dolphin_dagster.realtime.rules import (
    FACT_LENGTH,
    SENSORS,
    CheckRule,
    grid_answers,
    has_books,
    identities_hold,
    is_alive,
    is_green,
    may_trade,
    positions_are_priced,
    scan_is_coherent,
    scan_is_fresh,
    sensor_is_well,
    state_holds,
    venue_is_well,
)
from dolphin_dagster.realtime.snapshot import Snapshot
from dolphin_realtime.config.services import (
    BRIDGE,
    HAZELCAST,
    META_HEALTH,
    ORDERBOOK,
    SAFETY,
    SCANNER,
    row_of,
    trader_of,
)
from dolphin_realtime.config.settings import Settings
from dolphin_realtime.model.freshness import SHOWN_BOOKS_S, SHOWN_HEARTBEAT_S, SHOWN_SCAN_S
from dolphin_realtime.model.health.scores import GREEN_ABOVE
from dolphin_realtime.model.portfolio.account import TOLERANCE_USD
from dolphin_realtime.model.portfolio.unpriced import UNPRICED_SCANS


def _asset(name: str) -> str:
    """Return the key of the asset that shows a service."""
    return row_of(name).asset.format(name.partition("@")[2])


def _alive(service: str) -> CheckRule:
    return CheckRule(
        asset=_asset(service),
        heading=service.partition("@")[0].replace("-", "_"),
        name="is_alive",
        means=f"it runs and wrote a heartbeat less than {SHOWN_HEARTBEAT_S:.0f} s ago",
        look=f"`dolphin status`, `dolphin logs {service}`",
        do=f"`dolphin start {service}`",
        rule=is_alive(service),
    )


def _feed() -> Iterator[CheckRule]:
    yield CheckRule(
        asset=_asset(HAZELCAST),
        name="answers",
        means="the grid's member answers reads within 3 s",
        look="`dolphin logs hazelcast`",
        do="`dolphin start hazelcast`; the bridge refills it",
        rule=grid_answers,
    )
    yield _alive(BRIDGE)
    yield CheckRule(
        asset=SCAN_FEED,
        name="is_fresh",
        means=f"the newest scan was bridged less than {SHOWN_SCAN_S:.0f} s ago",
        look="does NG6 write? `dolphin logs bridge`",
        do="restart NG6, nothing in Dolphin",
        rule=scan_is_fresh,
    )
    yield CheckRule(
        asset=SCAN_FEED,
        name="is_coherent",
        means="prices are above 0 and the eigenvalues sum to the number of assets",
        look="`dolphin scan show`",
        do="mend NG6's input",
        rule=scan_is_coherent,
    )


def _watchers() -> Iterator[CheckRule]:
    yield _alive(SAFETY)
    yield CheckRule(
        asset=_asset(SAFETY),
        name="may_trade",
        means="the posture is NORMAL or REDUCED",
        look="`dolphin posture` names every reason",
        do="cure the reason; HALTED needs `dolphin resume`",
        rule=may_trade,
    )
    yield _alive(META_HEALTH)
    yield CheckRule(
        asset=_asset(META_HEALTH),
        name="is_green",
        means=f"the product of the five health sensors is above {GREEN_ABOVE}",
        look="`dolphin health`",
        do="what the runbook says of the sensor that is low",
        rule=is_green,
    )
    for sensor, (means, look, part) in SENSORS.items():
        yield CheckRule(
            asset=_asset(META_HEALTH),
            name=sensor,
            means=means,
            look=look,
            do="`dolphin health history`: it may be under repair",
            rule=sensor_is_well(sensor, part),
        )


def _books() -> Iterator[CheckRule]:
    yield _alive(ORDERBOOK)
    yield CheckRule(
        asset=_asset(ORDERBOOK),
        name="has_books",
        means=f"the document of books is younger than {SHOWN_BOOKS_S:.0f} s and holds some",
        look="`dolphin status` counts what was refused; `dolphin logs orderbook`",
        do="nothing at once: without books gates are neutral",
        rule=has_books,
    )


def _traders(instance: str, *, is_live: bool) -> Iterator[CheckRule]:
    trader = trader_of(instance)
    yield _alive(trader)
    yield CheckRule(
        asset=_asset(trader),
        heading="trader",
        name="state_holds",
        means="its state is fresh, agrees with its trading engine, follows the scans and can be journalled",
        look="`dolphin status`, `df -h`, `dolphin journal check`",
        do=f"make room, or `dolphin restart {trader}`",
        rule=state_holds(instance),
    )
    yield CheckRule(
        asset=_asset(trader),
        heading="trader",
        name="positions_are_priced",
        means=f"every held asset had a sound price in one of the last {UNPRICED_SCANS} scans",
        look="`dolphin status` names them, with their age",
        do="`dolphin position`, or wait for its next sound price",
        rule=positions_are_priced(instance),
    )
    if is_live:
        yield CheckRule(
            asset=_asset(trader),
            heading="trader",
            name="venue_is_well",
            means="nothing that is known of the venue or of the account there calls for a posture",
            look="`dolphin status` names each finding; `dolphin live check`",
            do="what the runbook says of the finding; `dolphin live panic` in an emergency",
            rule=venue_is_well(instance),
        )
    yield CheckRule(
        asset=journal(instance),
        heading="journal",
        name="identities_hold",
        means=f"every identity of the journal holds to {TOLERANCE_USD:g} USDT",
        look=f"`dolphin journal check --instance {instance}`",
        do="`dolphin posture set CLOSE_ONLY --reason journal`, keep a copy, find what wrote it",
        rule=identities_hold(instance),
    )


def make_rules(settings: Settings) -> list[CheckRule]:
    """Return every check of the services that a stack's settings name."""
    books = list(_books()) if settings.orderbook_ws else []
    books += [_alive(SCANNER)] if settings.scanner_ws else []
    is_live = settings.mode == "live"
    traders = [rule for name in settings.instance_names for rule in _traders(name, is_live=is_live)]
    return [*_feed(), *_watchers(), *books, *traders]


def verdicts(rules: list[CheckRule], snapshot: Snapshot) -> dict[checks.Key, Verdict]:
    """Return every rule's verdict of a snapshot, by check; a rule that raises is red."""
    return {rule.key: _judged(rule, snapshot) for rule in rules}


def _judged(rule: CheckRule, snapshot: Snapshot) -> Verdict:
    try:
        return rule.rule(snapshot)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as e:
        why = f"a document is not as it should be: {type(e).__name__}: {e}"
        return Verdict(False, {"why": why[:FACT_LENGTH]}, summary=type(e).__name__)
