"""The market: scans, which of their prices are sound, order books, instruments, the venue."""
