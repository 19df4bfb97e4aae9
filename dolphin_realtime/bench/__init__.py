"""`dolphin bench …`: measurements with the product's own processes; they assert no times."""
