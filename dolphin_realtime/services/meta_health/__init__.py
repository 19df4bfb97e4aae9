"""The meta health service: five health sensors, one number, published; what is bad is repaired by its cause."""
