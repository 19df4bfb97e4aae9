"""What the probe's assets are called; imported without Dagster's definitions."""


def name_of(pool):
    """Return the asset of a queue."""
    return "in_" + pool.replace("-", "_")
