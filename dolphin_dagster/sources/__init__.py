"""Asking external sources for numbers: HTTP, hosts' rate limits, typed answers."""
