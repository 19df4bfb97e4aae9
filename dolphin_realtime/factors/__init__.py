"""Recorded external factors: documents, files, the history, what is remembered of sources."""
