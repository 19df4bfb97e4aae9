"""The meta health service: five health sensors, one number, published; it repairs nothing yet."""
