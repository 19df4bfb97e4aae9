"""Asking the outside world for numbers: addresses, HTTP, what a host allows, typed answers."""
