"""Venues as they are read: what an account really did there, by the venue's own ids.

Sending orders belongs to engine/; these rooms only ask and listen.
"""
