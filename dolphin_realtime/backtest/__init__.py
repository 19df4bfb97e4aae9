"""The trader's own turn over recorded scans, on NautilusTrader's backtest engine. No Dagster here."""
