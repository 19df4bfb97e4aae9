"""Asset checks: their definitions, their results, and reporting those from a sensor.

A description ends with its heading in the runbook. A sensor needs no process per evaluation: it
writes an event when a verdict changes, and a refresh every ten minutes.
"""

import warnings
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import dagster as dg
import msgspec

from dolphin_dagster.instance.dagster_internals import AssetCheckExecutionRecordStatus

RUNBOOK: Final = "docs/runbook.md"
REFRESH: Final = timedelta(minutes=10)
EVALUATED: Final = (
    AssetCheckExecutionRecordStatus.SUCCEEDED,
    AssetCheckExecutionRecordStatus.FAILED,
)
"""Statuses of a check that has a result, passed or failed."""
Facts = dict[str, float | str]
Key = tuple[str, str]
"""(asset, check)."""


class Verdict(msgspec.Struct, frozen=True):
    """A check's result: numbers among the facts become plots on its page."""

    passed: bool
    facts: Facts
    summary: str = ""
    """A short summary; a change of it is reported, a change of the facts alone is not."""


def describe(asset: str, name: str, means: str) -> str:
    """Return a check's description: what it means, and its heading in the runbook."""
    return f"{means} {RUNBOOK}#{asset}-{name}"


def spec(
    asset: str,
    name: str,
    means: str,
    heading: str | None = None,
    *,
    days: dg.PartitionsDefinition[str] | None = None,
    is_blocking: bool = False,
) -> dg.AssetCheckSpec:
    """Return the definition of a check of an asset.

    Args:
        asset: Key of the asset.
        name: Name of the check.
        means: When the check is green.
        heading: Runbook heading, before the check's name; None: the asset's key.
        days: Partitions of the asset, each with a result of its own; None: it has none.
        is_blocking: While it is red, nothing is made of that partition by itself.
    """
    described = describe(heading or asset, name, means)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.PreviewWarning)  # of partitions_def, in 1.13
        return dg.AssetCheckSpec(
            name, asset=asset, description=described, partitions_def=days, blocking=is_blocking
        )


def result(
    asset: str, name: str, passed: bool, facts: Mapping[str, Any], *, is_error: bool = False
) -> dg.AssetCheckResult:
    """Return a result: WARN if someone should look, ERROR if the asset must not be trusted."""
    severity = dg.AssetCheckSeverity.ERROR if is_error else dg.AssetCheckSeverity.WARN
    return dg.AssetCheckResult(
        asset_key=asset, check_name=name, passed=passed, severity=severity, metadata=dict(facts)
    )


class LastReported(msgspec.Struct, frozen=True):
    """What was last reported of a check, and when; ``passed`` is None before the first report."""

    at: datetime
    passed: bool | None = None
    summary: str = msgspec.field(default="", name="gist")  # its name in cursors


def changes(
    verdicts: Mapping[Key, Verdict], told: Mapping[str, LastReported], now: datetime
) -> tuple[list[Key], dict[str, LastReported]]:
    """Return the checks whose verdict needs an event, and what to remember of all of them.

    Args:
        verdicts: The current verdicts, by check.
        told: What was last reported, as the last call returned it, by name.
        now: Wall time.
    """
    due: list[Key] = []
    memory: dict[str, LastReported] = {}
    for key, verdict in verdicts.items():
        name = ":".join(key)
        before = told.get(name) or LastReported(now)
        is_new = (before.passed, before.summary) != (verdict.passed, verdict.summary)
        memory[name] = before
        if is_new or now - before.at >= REFRESH:
            due.append(key)
            memory[name] = LastReported(now, verdict.passed, verdict.summary)
    return due, memory


def repository_of(context: dg.SensorEvaluationContext) -> dg.RepositoryDefinition:
    """Return the repository that a sensor belongs to.

    Raises:
        dg.DagsterInvariantViolationError: If it is evaluated outside of a repository.
    """
    if context.repository_def is None:
        raise dg.DagsterInvariantViolationError("the sensor needs its repository")
    return context.repository_def


def cursor_of(memory: msgspec.Struct) -> str:
    """Return what a sensor remembers as its cursor, which `remembered` reads."""
    return msgspec.json.encode(memory).decode()


def remembered[M: msgspec.Struct](cursor: str | None, kind: type[M]) -> M:
    """Return what a sensor's cursor holds; a missing or unreadable cursor starts empty."""
    try:
        return msgspec.json.decode(cursor or "{}", type=kind)
    except msgspec.DecodeError as e:
        dg.get_dagster_logger().warning(f"the cursor is begun anew: {e}")
        return kind()


def evaluation(
    key: Key, verdict: Verdict, severity: dg.AssetCheckSeverity
) -> dg.AssetCheckEvaluation:
    """Return the event that reports a check's verdict."""
    return dg.AssetCheckEvaluation(
        asset_key=dg.AssetKey(key[0]),
        check_name=key[1],
        passed=verdict.passed,
        severity=severity,
        metadata=dict(verdict.facts),
    )
