"""Files, sockets, ports, processes, logs: no word of trading here."""
