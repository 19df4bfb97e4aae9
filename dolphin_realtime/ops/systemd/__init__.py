"""systemd units, rendered from the service table, and their installation on a machine.

unit.py renders one service's unit, hardening.py what every unit is denied, host.py what surrounds
them (target, slices, users, folders, polkit rule), render.py all files by path; install.py installs
them. await_port.py and unit_failed.py are programs that units run.
"""
