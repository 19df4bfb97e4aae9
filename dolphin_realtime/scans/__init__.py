"""Recorded scans: scan files, days, daily archives; merging, checking, retention."""
