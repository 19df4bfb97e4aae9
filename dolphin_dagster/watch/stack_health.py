"""The one light: an asset whose only check names everything that is red, since when, what to do.

What is red is what the alerts file says: checks, runs, ticks, deadlines, factors, posture, units.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import dagster as dg

from dolphin_dagster import checks
from dolphin_dagster.checks import LastReported, Verdict
from dolphin_dagster.daily.conditions import JOBS as PRODUCTS
from dolphin_dagster.instance import pools
from dolphin_dagster.realtime.assets import make_assets
from dolphin_dagster.resources import Stack
from dolphin_dagster.watch.red_checks import LIGHT
from dolphin_realtime.config.settings import Settings
from dolphin_realtime.model.health.causes import grouped
from dolphin_realtime.runtime.alert_care import Care, care_of
from dolphin_realtime.runtime.alert_log import Alert, AlertKey, read_alerts, standing, why_of

NAME: Final = LIGHT
CHECK: Final = "nothing_is_red"
KEY: Final = (NAME, CHECK)
SHOWN: Final = 40
MEANS: Final = "No alert is active: every check, run, tick, deadline, factor, the posture and every unit is well."


def make_stack_health(settings: Settings) -> dg.AssetSpec:
    """Return the asset; everything that can be watched leads to it."""
    return dg.AssetSpec(
        NAME,
        group_name="stack",
        deps=[*(spec.key for spec in make_assets(settings)), *PRODUCTS],
        owners=["team:dolphin"],
        kinds={"dolphin"},
        description=(
            "Is everything well? The first page to look at, and to bookmark: its check names what is "
            "red, since when, why, and what to do; what follows from a cause stands under it. "
            "`dolphin alerts` says the same."
        ),
        freshness_policy=dg.FreshnessPolicy.time_window(
            fail_window=3 * checks.REFRESH, warn_window=1.5 * checks.REFRESH
        ),
    )


def judge(active: Mapping[AlertKey, Alert], care: Mapping[AlertKey, Care]) -> Verdict:
    """Return the light: red while any alert is active, whoever took care of it."""
    causes = grouped(active)
    facts: checks.Facts = {"red": float(len(active)), "causes": float(len(causes))}
    if not active:
        return Verdict(True, facts, summary="well")
    first = "; ".join(
        f"{' '.join(key)} since {active[key].ts:%H:%M:%S}" for key in list(causes)[:SHOWN]
    )
    facts |= {"why": first, "table": table(active, causes, care)}
    return Verdict(False, facts, summary=", ".join(" ".join(key) for key in active))


def table(
    active: Mapping[AlertKey, Alert],
    causes: Mapping[AlertKey, Sequence[AlertKey]],
    care: Mapping[AlertKey, Care],
) -> str:
    """Return what is red as a table in Markdown, each cause with what follows from it."""
    rows = ["| red | since (UTC) | why | what to do | who cares |", "|---|---|---|---|---|"]
    for key in sorted(causes, key=lambda k: active[k].ts)[:SHOWN]:
        rows.append(_row(key, active[key], care.get(key)))
        if causes[key]:
            names = ", ".join(" ".join(one) for one in causes[key])
            rows.append(f"| ↳ follows from it | | {_text(names)} | | |")
    return "\n".join(rows)


def _row(key: AlertKey, alert: Alert, care: Care | None) -> str:
    who = f"{care.words}" if care else "nobody: `dolphin alerts ack`"
    name, why = _text(" ".join(key)), _text(why_of(alert.facts))
    return f"| **{name}** | {alert.ts:%Y-%m-%d %H:%M:%S} | {why} | {alert.runbook} | {_text(who)} |"


def _text(text: str) -> str:
    """Return text that cannot end its cell or begin markup."""
    return text.replace("|", "¦").replace("<", "‹").replace("\n", " ")


def look(home: Path, now: datetime) -> Verdict:
    """Return the light now."""
    active = standing(read_alerts(home))
    return judge(active, care_of(home, active, now))


def turn_light(
    home: Path, last: Mapping[str, LastReported], now: datetime
) -> tuple[list[dg.AssetMaterialization | dg.AssetCheckEvaluation], dict[str, LastReported]]:
    """Return the events that show the light, if it changed or is to be shown again."""
    verdict = look(home, now)
    due, told = checks.changes({KEY: verdict}, last, now)
    if not due:
        return [], told
    error = dg.AssetCheckSeverity.ERROR
    return [dg.AssetMaterialization(NAME), checks.evaluation(KEY, shown(verdict), error)], told


def shown(verdict: Verdict) -> Verdict:
    """Return a verdict whose table is drawn as one."""
    facts = dict(verdict.facts)
    if "table" in facts:
        facts["table"] = dg.MetadataValue.md(str(facts["table"]))  # type: ignore[assignment]
    return Verdict(verdict.passed, facts, verdict.summary)


@dg.multi_asset_check(
    name="stack_light",
    specs=[checks.spec(NAME, CHECK, MEANS)],
    can_subset=True,
    pool=pools.DOLPHIN,
)
def stack_light(stack: Stack) -> dg.AssetCheckResult:
    """Look now, in a run of its own."""
    verdict = shown(look(stack.settings.home, datetime.now(UTC)))
    return checks.result(NAME, CHECK, verdict.passed, verdict.facts, is_error=True)
