"""Worlds: simulated market and feed events for tests, drills and the demo.

The events belong in events.py, the named worlds in library.py, seeded markets of any length and
random worlds in seeded.py. Everything here is simulated, and its scans say so.
"""
