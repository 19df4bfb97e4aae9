"""The five health sensors, one a file. Each returns a `Reading`, or raises what it met.

A health sensor is not a Dagster sensor (docs/glossary.md).
"""
