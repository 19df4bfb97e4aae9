"""The realtime services as Dagster shows them: external assets, rules, and who reports them."""
