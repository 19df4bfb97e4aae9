"""Always-on half of Dolphin: bridge, trader, safety and meta health. Never imports Dagster."""
