"""The realtime services as Dagster shows them: external assets, check rules and their sensor."""
