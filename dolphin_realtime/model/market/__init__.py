"""The market as Dolphin takes it: scans and which of their prices may be used, books, instruments, the venue."""
