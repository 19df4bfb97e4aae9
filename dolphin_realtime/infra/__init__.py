"""Files, sockets, ports, processes, logs: nothing here is specific to trading."""
