"""systemd units, rendered from the service table, and putting them on a machine.

unit.py is one service's unit, hardening.py what every unit is denied, host.py what stands around
them (target, slices, users, folders, polkit rule), render.py all files by path, install.py the
machine. await_port.py and unit_failed.py are programs that units run.
"""
