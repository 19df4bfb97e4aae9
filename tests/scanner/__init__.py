"""Scans without NG6: a venue on loopback, scans, a trader."""
