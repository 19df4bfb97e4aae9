"""The meta health service: five health sensors, one published number, and recovery by cause."""
