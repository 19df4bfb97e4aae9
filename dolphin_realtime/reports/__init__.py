"""From a journal to figures, documents and pages. No Dagster, no service."""
