"""Always-on half of Dolphin: bridge, trader, safety and meta health. Never imports Dagster."""

from typing import Final

PACKAGE: Final = "dolphin-trader"
"""Its name as a distribution."""
