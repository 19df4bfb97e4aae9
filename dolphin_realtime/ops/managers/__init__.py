"""Service managers: one interface to what starts, watches and restarts the services.

interface.py defines it, local.py talks to the local runner, systemd.py calls systemctl, and find.py
chooses. The managers themselves (ops/runner/, systemd) run the services; nothing is decided here.
"""
