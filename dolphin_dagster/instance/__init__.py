"""The Dagster instance itself: queues, jobs, set-up and maintenance."""
