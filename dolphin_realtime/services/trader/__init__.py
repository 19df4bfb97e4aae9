"""The trader: Hazelcast entry listener, `compute_signal`, orders, journal.

inbox.py decides which scan is next, session.py times and keeps its turn (trading/turn.py),
guard.py says what may be done, service.py ties them to the engine and the grid.
"""
