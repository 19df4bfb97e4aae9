"""Stands in for NG6: recorded prices to scan files, at any cadence and speed.

market.py makes scans from prices, faults.py writes what a bad day would, service.py paces.
"""
