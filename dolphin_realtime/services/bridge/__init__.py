"""The scan bridge: publishes NG6's scan files to Hazelcast within milliseconds.

reader.py reads the folder in a child process, ledger.py remembers the files handled, publish.py
publishes, service.py is the loop. Of the services only this child touches the folder.
"""
