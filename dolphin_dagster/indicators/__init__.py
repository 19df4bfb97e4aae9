"""Indicators, one a file: source, parse, asset, schedule, check. CONTRIBUTING has the checklist."""
