"""Trials: what a person may change in the Launchpad, and how the result is kept apart.

A trial materializes nothing and evaluates no check: the day's real result, and everything that
follows from it, stays as it was. It is an observation of the asset, with a link to its own page.
"""

from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import Field

from dolphin_dagster.daily.partitions import day_and_instance
from dolphin_realtime.config.settings import Settings
from dolphin_realtime.config.trader_parameters import Parameters, changed, load_parameters


class TrialConfig(dg.Config):
    """Parameters to try, by name as in docs/settings.md without the prefix.

    Example: ``parameters: {s_in: "1.5", taker_fee_bps: "2.0"}``. Empty: the day's real result.
    """

    parameters: dict[str, str] = Field(default_factory=dict)

    def of(self, instance: str) -> Parameters:
        """Return an instance's parameters with the trial's; raises SettingsError."""
        words = [f"{name}={value}" for name, value in self.parameters.items()]
        return changed(load_parameters(instance), words)


def folder_of(context: dg.AssetExecutionContext, settings: Settings, asset: str) -> Path:
    """Return the folder of a run's trial."""
    from dolphin_realtime.backtest.trial import trial_folder

    day, instance = day_and_instance(context)
    return trial_folder(settings, instance, day, f"{asset}-{context.run.run_id[:8]}")


def observe(
    context: dg.AssetExecutionContext, asset: str, config: TrialConfig, facts: dict[str, Any]
) -> None:
    """Record a trial's result as an observation of the asset's partition."""
    tried = {"trial": dg.MetadataValue.json(config.parameters)}
    context.log_event(
        dg.AssetObservation(asset, partition=context.partition_key, metadata={**facts, **tried})
    )


def is_trial(run: dg.DagsterRun) -> bool:
    """Return whether a run tries parameters: whether it fails or not, the day's work is as it was."""
    ops = run.run_config.get("ops", {}) if isinstance(run.run_config, dict) else {}
    return any((op.get("config") or {}).get("parameters") for op in ops.values())
