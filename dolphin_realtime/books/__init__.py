"""Recorded order books: documents, files, archives of days."""
