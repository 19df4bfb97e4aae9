"""Figures, documents and pages made from a journal. Imports neither Dagster nor a service."""
