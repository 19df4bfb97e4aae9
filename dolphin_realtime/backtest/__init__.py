"""The trader's own strategy over recorded scans, in Nautilus' backtest engine. No Dagster here."""
