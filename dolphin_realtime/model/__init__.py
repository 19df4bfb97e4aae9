"""The records and the pure rules of Dolphin.

Records that pass between processes and functions that decide belong here. Input and output
do not: nothing in this package opens a file or a socket, or reads a clock. Allowed imports are
msgspec, numpy and the standard library.
"""
