"""The words and the pure rules of Dolphin.

Records that cross a process and functions that decide belong here. Input and output do
not: nothing in this package opens a file, a socket or a clock. Allowed imports are
msgspec, numpy and the standard library.
"""
