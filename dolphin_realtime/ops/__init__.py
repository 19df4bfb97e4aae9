"""Starting, controlling and installing services: local runner, systemd, Dagster's API, nginx."""
