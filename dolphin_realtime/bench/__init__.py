"""`dolphin bench …`: measurements with the product's own processes; never a timed assertion."""
