"""External factors and calendar factors: their documents, and the calendar factors' rules."""
