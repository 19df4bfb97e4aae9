"""Stands in for NG6: recorded prices to scan files, at any cadence and speed.

market.py makes scans from prices, pace.py writes them in time, service.py is the demo's service;
faults.py writes broken scan files for tests.
"""
