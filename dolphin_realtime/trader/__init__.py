"""The trader: Hazelcast entry listener, `compute_signal`, Nautilus orders, journal.

node.py builds the Nautilus node, venue.py is the paper venue, session.py takes one scan
from callback to journal, inbox.py decides which scan is next, service.py ties them.
"""
