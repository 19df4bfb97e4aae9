"""Who starts, asks and installs services: the local runner, systemd, Dagster's API, nginx."""
