"""The trader: Hazelcast entry listener, `compute_signal`, orders, journal.

scan_sequencer.py decides which scan is next, scan_processor.py times and journals its turn
(trading/turn.py), guard.py gives the trading permission, service.py connects them to the engine
and the grid.
"""
