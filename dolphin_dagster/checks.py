"""Checks that an asset evaluates of itself while it is materialized: names and results.

Their descriptions lead to the runbook's heading of the same name.
"""

from collections.abc import Mapping
from typing import Any, Final

import dagster as dg

RUNBOOK: Final = "docs/runbook.md"


def spec(asset: str, name: str, means: str) -> dg.AssetCheckSpec:
    """Return the definition of a check of an asset."""
    return dg.AssetCheckSpec(name, asset=asset, description=f"{means} {RUNBOOK}#{asset}-{name}")


def result(
    asset: str, name: str, passed: bool, facts: Mapping[str, Any], *, is_error: bool = False
) -> dg.AssetCheckResult:
    """Return a result: WARN where it only wants a look, ERROR where it must not be trusted."""
    severity = dg.AssetCheckSeverity.ERROR if is_error else dg.AssetCheckSeverity.WARN
    return dg.AssetCheckResult(
        asset_key=asset, check_name=name, passed=passed, severity=severity, metadata=dict(facts)
    )
