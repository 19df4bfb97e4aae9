"""Recorded external factors: documents, files, the history, the memory of sources."""
