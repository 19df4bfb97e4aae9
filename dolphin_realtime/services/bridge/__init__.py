"""The scan bridge: NG6's scan files into Hazelcast within milliseconds.

reader.py looks at the folder in a child process, ledger.py remembers what was seen,
bridge.py publishes. Nothing else touches the folder.
"""
