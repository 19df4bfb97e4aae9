"""Service managers: one interface to who starts, watches and restarts the services.

interface.py is what both can do, local.py asks the local runner, systemd.py systemctl,
find.py chooses. Running services is theirs (runner/, systemd); deciding is not here.
"""
