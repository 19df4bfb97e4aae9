"""External and calendar factors: their documents, and what a clock alone can tell."""
