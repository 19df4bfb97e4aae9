"""Worlds: a market with the events that happen to people who trade, seeded, composed of small parts.

What can happen is events.py's, which worlds have a name library.py's, markets of any length and
random worlds seeded.py's. Everything here is simulated, and its scans say so.
"""
