"""What one instance decided, sent, filled and owns, on disk: rows, files, checks, exports."""
