"""What Dagster sees go wrong: red checks, failed runs and ticks, overdue work; and the one light."""
