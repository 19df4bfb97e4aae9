"""The five health sensors, one per file; each returns a `Reading`, or raises.

A health sensor is not a Dagster sensor (docs/glossary.md).
"""
