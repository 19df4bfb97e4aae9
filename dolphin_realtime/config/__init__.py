"""The settings and the service table: read once at start, immutable."""
