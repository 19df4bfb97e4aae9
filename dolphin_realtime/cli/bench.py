"""`dolphin bench`: measurements of the product itself."""

import click


@click.group()
def bench() -> None:
    """Measure what Dolphin promises, on this machine."""
