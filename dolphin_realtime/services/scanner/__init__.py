"""Scans without NG6: a venue's public mark prices, the eigenvalues of their correlations, scan files."""
